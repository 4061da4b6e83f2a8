"""How far off a film's colours are expected to be, given which of its frames are coloured by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from flowchroma.models.estimate import UNRELATED_ERROR
from flowchroma.plans.survey import Survey


@dataclass(frozen=True)
class StillModel:
    """Constants of expected errors, means over a frame in CIELAB units of ab: docs/plan.md says how they were fitted.

    Carried within a shot: least + per_motion sqrt(motion) + per_unlike (1 - similarity), motion being the sum of what
    the flow leaves unexplained from one frame to the other. Matched across shots:
    matched exp(steepness (1 - similarity)).
    """

    least: float = 0.34
    per_motion: float = 0.43
    per_unlike: float = 2.8
    matched: float = 1.25
    steepness: float = 4.5
    most: float = UNRELATED_ERROR  # colours of something else are as wrong, and gray is hardly better
    power: float = 6.0  # of the mean by which errors from both sides are combined

    def carried(self, motion: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """Expected error of what one still of the same shot gives."""
        found = self.least + self.per_motion * np.sqrt(motion) + self.per_unlike * (1 - similarity)
        return np.minimum(found, self.most)

    def found(self, similarity: np.ndarray) -> np.ndarray:
        """Expected error of what a still of another shot gives."""
        return np.minimum(self.matched * np.exp(self.steepness * (1 - similarity)), self.most)

    def both(self, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
        """Expected error of what stills on both sides give; that of a side without is infinite."""
        return np.minimum((forward**-self.power + backward**-self.power) ** (-1 / self.power), self.most)


class StillErrors:
    """Expected errors of the frames that a survey sampled, by the stills that are chosen of them.

    A frame of a shot with stills is coloured from the nearest one on each side. One of a shot without is matched with
    the still of another shot that is most like it.

    Args:
        survey: of the film.
        kept: of each shot, whether its frames need no colour, and are no stills.
        model: the constants.
        now: (N,) errors of the sampled frames as the film is coloured now; more stills leave no more than these.
    """

    def __init__(
        self,
        survey: Survey,
        kept: Sequence[bool] | None = None,
        model: StillModel | None = None,
        now: np.ndarray | None = None,
    ) -> None:
        self.survey, self.model = survey, model or StillModel()
        shots = survey.shots
        self._now = np.full(len(survey.sampled), self.model.most) if now is None else now
        self.kept = np.zeros(len(shots), bool) if kept is None else np.array(kept, bool)
        self.shot_of = np.searchsorted([shot.start for shot in shots], survey.sampled, side="right") - 1
        self._rows = [np.flatnonzero(self.shot_of == at) for at in range(len(shots))]
        cells = _cells(survey, self._rows)
        needed = ~self.kept[self.shot_of] & ~survey.blank
        self.weights = np.where(needed, cells[1] - cells[0], 0)  # frames that a sampled one stands for
        self.frames = float(self.weights.sum())
        self.candidates = np.flatnonzero(survey.usable & needed)
        self._across = self.model.found(survey.similarity.T.copy())  # by the still that colour comes from
        self._across[self.shot_of[:, None] == self.shot_of] = np.inf
        self._within = [self._carried(rows, cells) for rows in self._rows]
        self._found: dict[tuple[int, bytes], np.ndarray] = {}  # errors of shots by their stills

    def _carried(self, rows: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Errors of a shot's sampled frames, each from each: (n, n)."""
        motion = self.survey.motion
        own = (motion[cells[1][rows] - 1] - motion[cells[0][rows]]) / 4  # a frame stands for those around it
        at = motion[self.survey.sampled[rows]]
        far = np.maximum(np.abs(at[:, None] - at), own[:, None])
        return self.model.carried(far, self.survey.similarity[np.ix_(rows, rows)])

    def errors(self, stills: Iterable[int]) -> np.ndarray:
        """Of each sampled frame, (N,), with these as stills, by their places among the sampled."""
        stills = np.array(sorted(stills), int)
        found = np.minimum(self._across[stills].min(axis=0, initial=self.model.most), self._now)
        shots, first = np.unique(self.shot_of[stills], return_index=True)
        for at, own in zip(shots, np.split(stills, first)[1:], strict=True):
            found[self._rows[at]] = self._of_shot(int(at), own)
        return found

    def total(self, errors: np.ndarray) -> float:
        """Their mean over the film's frames that are to be coloured."""
        return float(errors @ self.weights) / max(1.0, self.frames)

    def with_one_more(self, errors: np.ndarray, stills: Sequence[int], candidate: int) -> np.ndarray:
        """The errors with a candidate beside the stills that made `errors`."""
        at, of_stills = int(self.shot_of[candidate]), self.shot_of[list(stills)]
        found = np.minimum(errors, self._across[candidate])
        own = np.isin(self.shot_of, of_stills)  # what has stills of its own is matched with no others
        found[own] = errors[own]
        together = np.array(stills, int)[of_stills == at]
        found[self._rows[at]] = self._of_shot(at, np.array(sorted([*together, candidate]), int))
        return found

    def per_frame(self, stills: Sequence[int]) -> np.ndarray:
        """Expected error of every frame of the film, (T,), 0 where it is a still or needs no colour."""
        survey, sampled, found = self.survey, self.survey.sampled, self.errors(stills)
        every = np.zeros(len(survey.motion))
        for at, (shot, rows) in enumerate(zip(survey.shots, self._rows, strict=True)):
            if self.kept[at]:
                continue
            span = np.arange(shot.start, shot.stop)
            own = sorted(still for still in stills if self.shot_of[still] == at)
            alone = np.interp(span, sampled[rows], found[rows] * ~survey.blank[rows])
            every[span] = self._of_frames(span, rows, own) if own else alone
        every[sampled[list(stills)]] = 0
        return every

    def nearest(self, stills: Sequence[int], shot: int, count: int) -> list[int]:
        """The stills that are most like a shot, the best first."""
        alike = self.survey.similarity[self._rows[shot]].mean(axis=0)
        return sorted(stills, key=lambda still: -alike[still])[:count]

    def _of_shot(self, at: int, own: np.ndarray) -> np.ndarray:
        """Errors of a shot's sampled frames by its own stills."""
        key = at, own.tobytes()
        if key not in self._found:
            rows = self._rows[at]
            from_each = self._within[at][:, np.searchsorted(rows, own)]
            found = self._from_sides(from_each, rows[:, None] >= own)
            self._found[key] = np.minimum(found, self._now[rows])
        return self._found[key]

    def _of_frames(self, span: np.ndarray, rows: np.ndarray, own: Sequence[int]) -> np.ndarray:
        """Errors of all of a shot's frames by its own stills."""
        survey, sampled = self.survey, self.survey.sampled
        far = np.abs(survey.motion[span][:, None] - survey.motion[sampled[own]])
        alike = np.stack([np.interp(span, sampled[rows], survey.similarity[rows, still]) for still in own], axis=1)
        found = self._from_sides(self.model.carried(far, alike), span[:, None] >= sampled[own])
        return np.minimum(found, np.interp(span, sampled[rows], self._now[rows]))

    def _from_sides(self, from_each: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The best of the stills before, combined with the best of those after: (n, K) to (n,)."""
        before, behind = (np.where(side, from_each, np.inf).min(axis=1) for side in (after, ~after))
        return self.model.both(before, behind)


def _cells(survey: Survey, rows: Sequence[np.ndarray]) -> np.ndarray:
    """First and one past the last of the frames of its shot to which each sampled one is the nearest: (2, N)."""
    cells = np.zeros((2, len(survey.sampled)), int)
    for shot, own in zip(survey.shots, rows, strict=True):
        at = survey.sampled[own]
        between = (at[:-1] + at[1:] + 1) // 2
        cells[0, own], cells[1, own] = [shot.start, *between], [*between, shot.stop]
    return cells
