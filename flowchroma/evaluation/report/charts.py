"""What the page's charts draw: figures by clip, and by frame."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flowchroma.evaluation.measures import BY_KEY, MEASURES, known
from flowchroma.evaluation.report.contents import Report
from flowchroma.evaluation.report.ranking import BOUNDS, Table
from flowchroma.pages import series_style

_BOUND = "#8a8a8a"  # gray, in no competition
_MEAN = "mean of all clips"

_Series = dict[int, float | None]  # by the frame's number


def method_styles(report: Report) -> dict[str, dict[str, str]]:
    """Each method's colour, symbol and dash: the same in every chart, by the order in the report."""
    contenders = [name for name in report.methods if name not in BOUNDS]
    styles = {name: series_style(i) for i, name in enumerate(contenders)}
    bounds = [name for name in report.methods if name in BOUNDS]
    for name, symbol, dash in zip(bounds, ("circle-open", "square-open"), ("dash", "dot"), strict=False):
        styles[name] = {"color": _BOUND, "symbol": symbol, "dash": dash}
    return styles


def chart_data(report: Report, table: Table) -> dict[str, Any]:
    """Everything that the page's script draws, in the table's order of methods, as plain lists."""
    styles = method_styles(report)
    names = [row.method for row in table.rows]
    return {
        "methods": [{"name": name, "bound": name in BOUNDS, **styles[name]} for name in names],
        "measures": {
            m.key: {"title": m.title, "unit": m.unit, "direction": m.direction, "digits": m.digits, "scale": m.scale}
            for m in MEASURES
        },
        "clips": report.clips,
        "byClip": _by_clip(report, table, names),
        "byFrame": _by_frame(report, names),
    }


def _by_clip(report: Report, table: Table, names: Sequence[str]) -> dict[str, list[list[float | None]]]:
    """Measure -> a list a method -> a value a clip."""
    values = {}
    for measure in table.columns:
        of_methods = [report.methods[name] for name in names]
        rows = [[_drawn(scores.of(clip, measure.key)) for clip in report.clips] for scores in of_methods]
        if any(value is not None for row in rows for value in row):
            values[measure.key] = rows
    return values


def _by_frame(report: Report, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Measure -> the mean of all clips and then every clip -> a series a method."""
    keys = {key for scores in report.methods.values() for series in scores.frames.values() for key in series}
    of_methods = [report.methods[name].frames for name in names]
    values = {}
    for key in (key for key in BY_KEY if key in keys):
        clips = {clip: [_series(frames.get(clip, {}), key) for frames in of_methods] for clip in report.clips}
        clips = {clip: series for clip, series in clips.items() if any(series)}
        choices = [_choice(clip, series) for clip, series in clips.items()]
        if len(choices) > 1:
            choices.insert(0, _choice(_MEAN, _mean(list(clips.values())), _first_end(list(clips.values()))))
        values[key] = choices
    return values


def _choice(name: str, series: Sequence[_Series], ends: int | None = None) -> dict[str, Any]:
    points = [{"x": list(of_method), "y": list(map(_drawn, of_method.values()))} for of_method in series]
    return {"name": name, "series": points, "ends": ends}


def _series(frames: Mapping[str, Sequence[float]], key: str) -> _Series:
    if key not in frames:
        return {}
    return {int(number): value for number, value in zip(frames["frame"], frames[key], strict=True)}


def _mean(clips: Sequence[Sequence[_Series]]) -> list[_Series]:
    """Each method's mean over the clips that have a frame of that number."""
    means = []
    for of_method in zip(*clips, strict=True):
        numbers = sorted({number for series in of_method for number in series})
        means.append({number: _average([series.get(number) for series in of_method]) for number in numbers})
    return means


def _first_end(clips: Sequence[Sequence[_Series]]) -> int | None:
    """The last frame of the shortest clip, None where all are of one length."""
    ends = {max(number for series in of_clip for number in series) for of_clip in clips}
    return min(ends) if len(ends) > 1 else None


def _average(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if known(value)]
    return sum(there) / len(there) if there else None


def _drawn(value: float | None) -> float | None:
    """Six digits are more than a screen shows; infinity has no place on an axis."""
    return float(f"{value:.6g}") if known(value) and math.isfinite(value) else None
