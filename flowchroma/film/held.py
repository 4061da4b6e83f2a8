"""A film of which every frame comes, whatever is damaged in it."""

import warnings
from collections.abc import Iterator

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.film import Film, Mended, OpenedFilm

_NAMED = 5  # frames a film, each in a line of its own; after that they are counted


def shown_frame(film: Film, number: int) -> np.ndarray:
    """A frame as it is coloured, (H, W, 3) uint8 RGB: fitted into the film's size where it has another.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return film.read([number])[0]
    except UserError:
        attempt = getattr(film, "attempt", None)
        if attempt is None or not 0 <= number < len(film):
            raise
    frame = next(attempt(only={number}))  # from the film's beginning
    if isinstance(frame, UserError):
        raise frame
    return frame.rgb if isinstance(frame, Mended) else frame


class HeldFilm:
    """A film in which a frame that cannot be read is held over from the one before, or from the first that can.

    Args:
        film: What is read, in order.
        strict: Stop at such a frame instead.
        deep: Give uint16 where the film has more than 8 bits a sample.
        quiet: Name no frame.
    """

    def __init__(self, film: OpenedFilm, strict: bool = False, deep: bool = False, quiet: bool = False) -> None:
        self._film, self._strict, self._deep, self._quiet = film, strict, deep, quiet
        self.held: list[int] = []  # numbers of the frames so far
        self.mended: list[int] = []  # those of which a part was damaged

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every frame in order, (H, W, 3) RGB.

        Raises:
            UserError: No frame can be read, or `strict` and one cannot.
        """
        self.held, self.mended = [], []
        before: np.ndarray | None = None
        for index, frame in enumerate(self._film.attempt(self._deep)):
            if isinstance(frame, UserError):
                self._note(index, frame, self.held, "the frame before is held over")
                if before is not None:
                    yield before
                continue
            if isinstance(frame, Mended):
                self._note(index, frame.error, self.mended, "it is shown as the decoder filled it")
                frame = frame.rgb
            if before is None:
                yield from [frame] * len(self.held)
            before = frame
            yield frame
        if before is None:
            raise UserError(f"no frame of {self._film.name} can be read")

    def _note(self, index: int, error: UserError, among: list[int], what: str) -> None:
        if self._strict:
            raise UserError(f"{error} (strict=false goes on)") from error
        among.append(index)
        if len(among) <= _NAMED and not self._quiet:
            warnings.warn(f"{error}: {what}", stacklevel=2)

    def summary(self) -> str:
        """How many frames were not as they should be, in words; empty where all were."""
        counts = {"could not be read and were held over from the one before": self.held,
                  "were damaged in a part": self.mended}  # fmt: skip
        told = [f"{len(found)} of {len(self._film)} frames {what}" for what, found in counts.items() if found]
        return "; ".join(told)
