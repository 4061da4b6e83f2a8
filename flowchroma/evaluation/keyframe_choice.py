"""Which frames of a clip are given in colour, as keyframes that are all known from the beginning."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film import Film
from flowchroma.film.film import check_indices

_COUNTED = re.compile(r"(every|plan):([0-9]+)")
_LEAST = {"every": 2, "plan": 1}

Chooser = Callable[[Film, int], Sequence[int]]


def check_keyframes(keyframes: Any) -> tuple[str | int, ...]:
    """The parts of a choice of keyframes: "first", "middle", "last", numbers, "every:N" and "plan:N".

    Raises:
        UserError: there is none, or one of them is something else.
    """
    parts = tuple(keyframes) if isinstance(keyframes, Sequence) and not isinstance(keyframes, str) else (keyframes,)
    if not parts or not all(map(_is_part, parts)):
        raise UserError(
            "keyframes must be first, middle, last, numbers from 0 on, every:N (N > 1) or plan:N, several as "
            f"[first,last], not {keyframes}",
            code=2,
        )
    return parts


def keyframe_numbers(parts: Sequence[str | int], film: Film, choose: Chooser | None) -> list[int]:
    """The numbers of a clip's keyframes, rising.

    Args:
        parts: from `check_keyframes`.
        film: the frames that count.
        choose: chooses so many frames of a film, for "plan:N"; it is shown gray ones.

    Raises:
        UserError: the clip has no frame of such a number.
    """
    numbers = sorted({number for part in parts for number in _numbers(part, film, choose)})
    check_indices(film.name, numbers, len(film))
    return numbers


class GrayFilm:
    """The first frames of a film, in gray: what keyframes are chosen from."""

    path: ClassVar[None] = None
    files: ClassVar[Sequence[Path]] = ()

    def __init__(self, film: Film, frames: int) -> None:
        self.name, self.size, self._film, self._frames = film.name, film.size, film, frames

    def __len__(self) -> int:
        return self._frames

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `Film.read`."""
        check_indices(self.name, indices, self._frames)
        return [_gray(rgb) for rgb in self._film.read(indices, at_least)]

    def __iter__(self) -> Iterator[np.ndarray]:
        """See `Film.__iter__`."""
        return (_gray(rgb) for _, rgb in zip(range(self._frames), self._film, strict=False))


def _gray(rgb: np.ndarray) -> np.ndarray:
    luma = (rgb @ np.array([0.299, 0.587, 0.114], np.float32)).round().astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=2)


def _is_part(part: Any) -> bool:
    if isinstance(part, str):
        counted = _COUNTED.fullmatch(part)
        return part in ("first", "middle", "last") if counted is None else int(counted[2]) >= _LEAST[counted[1]]
    return isinstance(part, int) and not isinstance(part, bool) and part >= 0


def _numbers(part: str | int, film: Film, choose: Chooser | None) -> Sequence[int]:
    last = len(film) - 1
    if isinstance(part, int):
        return [part]
    if counted := _COUNTED.fullmatch(part):
        count = int(counted[2])
        if counted[1] == "every":
            return [*range(0, last, count), last]
        assert choose is not None
        return choose(film, count)
    return [{"first": 0, "middle": len(film) // 2, "last": last}[part]]
