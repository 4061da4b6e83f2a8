"""How far off the colours of a film are expected to be, and where most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowchroma.app.colouring.assignments import Assignment
from flowchroma.app.colouring.error_files import ErrorFiles, Moment
from flowchroma.film.segments import SegmentStore

_MOMENTS = 6
_APART = 48  # frames from one to the next in a shot, at least; an eighth of the film where that is shorter


@dataclass(frozen=True)
class Uncertainty:
    """Expected errors of a film's frames, in CIELAB units of ab.

    Attributes:
        start: Number of the first frame.
        errors: (T,) mean over each frame; 0 where it keeps its own colour, NaN where it was lost.
        moments: Frames with the highest, from different shots or well apart, the worst one first.
    """

    start: int
    errors: np.ndarray
    moments: Sequence[Moment]

    def of(self, start: int, stop: int) -> np.ndarray:
        """Errors of frames [start, stop)."""
        return self.errors[start - self.start : stop - self.start]


def read_uncertainty(store: SegmentStore, assignments: Sequence[Assignment]) -> Uncertainty:
    """What was kept of a film that is coloured, and not joined yet."""
    files = ErrorFiles(store.folder, [(*piece, a.key) for a in assignments for piece in a.pieces])
    start, errors = store.span[0], files.means()
    known = [number for number in files.worst() if not np.isnan(errors[number - start])]
    chosen = _worst(known, errors, start, [a.shot.start for a in assignments])
    return Uncertainty(start, errors, files.moments(chosen))


def _worst(numbers: Sequence[int], errors: np.ndarray, start: int, starts: Sequence[int]) -> list[int]:
    """The frames with the highest errors, of which two in one shot are apart."""
    apart = min(_APART, len(errors) / 8)
    shot_of = dict(zip(numbers, np.searchsorted(starts, numbers, side="right"), strict=True))
    chosen: list[int] = []
    for number in sorted(numbers, key=lambda n: -errors[n - start]):
        if all(abs(number - other) >= apart or shot_of[number] != shot_of[other] for other in chosen):
            chosen.append(number)
    return chosen[:_MOMENTS]
