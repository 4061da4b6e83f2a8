"""Expected errors over time as a drawing that needs no library."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from flowchroma.app.colouring.assignments import Assignment
from flowchroma.app.colouring.uncertainty import Uncertainty

WIDTH, HEIGHT = 1136, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 24, 36
_TICKS = 8  # on an axis, at most


def chart(
    unsure: Uncertainty, curve: Mapping[str, Sequence[float]], assignments: Sequence[Assignment], stills: Sequence[int]
) -> dict[str, Any]:
    """Where everything is drawn, in pixels.

    Args:
        unsure: The errors.
        curve: Those that are drawn: "x" counted from the first frame, "y".
        assignments: The film's shots, with their keyframes.
        stills: Numbers of the frames that are to be coloured next.
    """
    frames = len(unsure.errors)
    ticks = list(_ticks(0, max(1.0, float(np.nanmax(unsure.errors)))))
    most = max(ticks[-1], float(np.nanmax(unsure.errors)))

    def x(number: float) -> float:
        return round(_LEFT + (number - unsure.start + 0.5) / frames * (WIDTH - _LEFT - _RIGHT), 1)

    def y(error: float) -> float:
        return round(HEIGHT - _BOTTOM - error / most * (HEIGHT - _TOP - _BOTTOM), 1)

    moments = [(at, moment.frame) for at, moment in enumerate(unsure.moments, 1)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "top": _TOP,
        "bottom": HEIGHT - _BOTTOM,
        "lines": _lines([(x(unsure.start + n), y(error)) for n, error in zip(*curve.values(), strict=True)]),
        "rows": [{"at": y(tick), "text": f"{tick:g}"} for tick in ticks],
        "columns": [
            {"at": x(n), "text": str(int(n))} for n in _ticks(unsure.start, unsure.start + frames - 1) if n % 1 == 0
        ],
        "shots": [x(assignment.shot.start - 0.5) for assignment in assignments[1:]],
        "keyframes": [{"at": x(number), "frame": number} for a in assignments for number in sorted(a.keyframes)],
        "stills": [{"at": x(number), "frame": number} for number in stills],
        "moments": [{"at": x(n), "y": y(unsure.errors[n - unsure.start]), "text": at, "frame": n} for at, n in moments],
    }


def _lines(points: Sequence[tuple[float, float]]) -> list[str]:
    """Points of the lines between gaps, where y is not known."""
    runs = groupby(points, key=lambda point: math.isnan(point[1]))
    return [" ".join(f"{x},{y}" for x, y in run) for gap, run in runs if not gap]


def _ticks(low: float, high: float) -> Iterator[float]:
    """Round numbers from one to the other."""
    raw = max(high - low, 1e-6) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield round(at * step, 9)
