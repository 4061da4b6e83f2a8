"""What colouring was unsure of, for the page: a curve, its worst moments, the stills that would help most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowchroma.plans.gain_file import PROPOSED, read_gains
from flowchroma.plans.plan_page import thinned
from flowchroma.studio.colours import Colours
from flowchroma.studio.project import Project

_WORST = 5  # moments
_APART = 24  # frames from one to the next, at least; an eighth of the film where that is shorter
HELPS = 2  # stills that are proposed


@dataclass(frozen=True)
class Result:
    """Of a film that is coloured, wholly or in part."""

    frames: int
    errors: np.ndarray  # (T,), CIELAB units; NaN where it is not coloured
    x: Sequence[int]  # frames of the points of the curve
    y: Sequence[float | None]
    mean: float | None
    worst: Sequence[int]  # frames
    shots: Sequence[int]  # first frames
    stills: Sequence[int]  # coloured frames
    helps: dict[int, float]  # stills that would take off most, and how much
    current: bool  # the film shows the pictures that are there now


def result_of(project: Project, colours: Colours) -> Result | None:
    """What there is to see; None where nothing is coloured."""
    plan = project.plan
    if plan is None or not project.output.exists():
        return None
    assignments, errors = colours.known(), colours.errors()
    curve = thinned(errors)
    known = not np.isnan(errors).all()
    next_gains = {n: gain for n, gain in read_gains(project.folder / PROPOSED).items() if n not in plan.stills}
    return Result(
        plan.film.frames, errors, list(map(int, curve["x"])), [None if np.isnan(y) else float(y) for y in curve["y"]],
        float(np.nanmean(errors)) if known else None, _worst(errors),
        [shot.start for shot in plan.shots], [n for a in assignments for n in sorted(a.keyframes)],
        dict(list(next_gains.items())[:HELPS]), sum(colours.done(assignments)) == plan.film.frames,
    )  # fmt: skip


def _worst(errors: np.ndarray) -> list[int]:
    """Frames with the highest errors, well apart, in the film's order."""
    apart, chosen = min(_APART, len(errors) / 8), list[int]()
    for number in np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable").tolist():
        if np.isnan(errors[number]) or len(chosen) == _WORST:
            break
        if all(abs(number - other) >= apart for other in chosen):
            chosen.append(number)
    return sorted(chosen)
