"""A film of which every frame comes, whatever is damaged in it."""

import warnings
from collections.abc import Iterator

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.film import Film

_NAMED = 5  # frames a film, each in a line of its own; after that they are counted


class HeldFilm:
    """A film in which a frame that cannot be read is held over from the one before, or from the first that can.

    Args:
        film: What is read, in order.
        strict: Stop at such a frame instead.
        deep: Give uint16 where the film has more than 8 bits a sample.
    """

    def __init__(self, film: Film, strict: bool = False, deep: bool = False) -> None:
        self._film, self._strict, self._deep = film, strict, deep
        self.held: list[int] = []  # numbers of the frames so far

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every frame in order, (H, W, 3) RGB.

        Raises:
            UserError: No frame can be read, or `strict` and one cannot.
        """
        self.held = []
        before: np.ndarray | None = None
        for index, frame in enumerate(self._film.attempt(self._deep)):
            if isinstance(frame, UserError):
                self._hold(index, frame)
                if before is not None:
                    yield before
                continue
            if before is None:
                yield from [frame] * len(self.held)
            before = frame
            yield frame
        if before is None:
            raise UserError(f"no frame of {self._film.name} can be read")

    def _hold(self, index: int, error: UserError) -> None:
        if self._strict:
            raise UserError(f"{error} (strict=false goes on with the frame before)") from error
        self.held.append(index)
        if len(self.held) <= _NAMED:
            warnings.warn(f"{error}: the frame before is held over", stacklevel=2)

    def summary(self) -> str:
        """How many frames were held over, in words; empty where none was."""
        if not self.held:
            return ""
        return f"{len(self.held)} of {len(self._film)} frames could not be read and were held over from the one before"
