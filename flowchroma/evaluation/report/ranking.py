"""The table of means: who is best by each measure, and what is missing; and who is best of all, in one sentence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowchroma.evaluation.measures import BY_KEY, MEASURES, Measure, known
from flowchroma.evaluation.report.contents import MethodScores, Report

BOUNDS: Mapping[str, str] = {  # in no competition: one sees the truth, the other gives no colour
    "oracle": "the ceiling: the true colours through the output path",
    "gray": "the floor: no colour at all",
}


@dataclass(frozen=True)
class Cell:
    """One figure of the table."""

    text: str  # as people read it
    value: float | None
    order: float | None  # to sort by, best first; None goes last
    place: int = 0  # 1 best, 2 second, 0 neither
    partial: int | None = None  # how many clips it is the mean of, where not all


@dataclass(frozen=True)
class Row:
    """One method: its cells in the order of the columns."""

    method: str
    bound: str | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """The means, best method first, bounds last; `notes` says why a measure is missing somewhere."""

    columns: tuple[Measure, ...]
    rows: tuple[Row, ...]
    notes: Mapping[str, str]
    clips: int

    @property
    def contenders(self) -> list[str]:
        """The methods in competition, best first."""
        return [row.method for row in self.rows if row.bound is None]


def rank(report: Report) -> Table:
    """Rank the methods by each measure of `measures.MEASURES`; a `ValueError` for another.

    One method alone is not the best. A mean that lacks a clip of another's is shown but never best: the clip may be a
    hard one.
    """
    columns = _columns(report)
    places = {measure.key: _places(report, measure) for measure in columns}
    rows = []
    for name, scores in report.methods.items():
        cells = []
        for measure in columns:
            value, counted = mean(scores, measure.key), len(_behind(report, scores, measure.key))
            partial = counted if known(value) and counted < len(report.clips) else None
            order = -value if measure.direction == "none" and known(value) else measure.rank(value)
            cells.append(Cell(measure.show(value), value, order, places[measure.key].get(name, 0), partial))
        rows.append(Row(name, BOUNDS.get(name), tuple(cells)))
    rows.sort(key=lambda row: _order(row, columns))
    missing = [measure for i, measure in enumerate(columns) if any(row.cells[i].text == "—" for row in rows)]
    reasons = report.protocol.get("absent") or {}
    notes = {measure.key: str(reasons.get(measure.key) or measure.absent).rstrip(".") for measure in missing}
    return Table(columns, tuple(rows), notes, len(report.clips))


def mean(scores: MethodScores, key: str) -> float | None:
    """A method's mean of one measure."""
    return scores.seconds_per_frame if key == "seconds_per_frame" else scores.mean.get(key)


def _columns(report: Report) -> tuple[Measure, ...]:
    seen = report.keys
    if any(scores.seconds_per_frame is not None for scores in report.methods.values()):
        seen.add("seconds_per_frame")
    if unknown := sorted(seen - set(BY_KEY)):
        raise ValueError(f"no measure {unknown[0]!r}: add it to flowchroma.evaluation.measures")
    return tuple(measure for measure in MEASURES if measure.key in seen)


def _behind(report: Report, scores: MethodScores, key: str) -> frozenset[str]:
    """The clips that a method's mean of a measure is over."""
    by_clip = any(known(other.of(clip, key)) for other in report.methods.values() for clip in other.clips)
    return frozenset(clip for clip in scores.clips if known(scores.of(clip, key)) or not by_clip)


def _places(report: Report, measure: Measure) -> dict[str, int]:
    ranks: dict[str, float] = {}
    for name, scores in report.methods.items():
        rank = measure.rank(mean(scores, measure.key))
        if name not in BOUNDS and rank is not None:
            ranks[name] = rank
    behind = {name: _behind(report, report.methods[name], measure.key) for name in ranks}
    every = frozenset().union(*behind.values())
    ranks = {name: rank for name, rank in ranks.items() if behind[name] == every}
    if len(ranks) < 2:
        return {}
    podium = sorted(set(ranks.values()))[:2]
    return {name: podium.index(rank) + 1 for name, rank in ranks.items() if rank in podium}


def _order(row: Row, columns: Sequence[Measure]) -> tuple[bool, bool, float]:
    """Contenders by the first measure, then those with clips missing, then the bounds."""
    if not columns:
        return row.bound is not None, False, 0.0
    rank = columns[0].rank(row.cells[0].value)
    return row.bound is not None, row.cells[0].partial is not None, math.inf if rank is None else rank


def ranking_summary(report: Report, table: Table) -> str:
    """Say who leads by the first measure, by how much, and on how many clips; nothing where nobody competes."""
    measure = next(iter(table.columns), None)
    if measure is None or not table.contenders:
        return ""
    places = {row.method: row.cells[0].place for row in table.rows}
    best = [name for name, place in places.items() if place == 1]
    second = [name for name, place in places.items() if place == 2]
    first = best[0] if best else table.contenders[0]
    figure = f"{measure.title} {_show(measure, mean(report.methods[first], measure.key))}"
    if not best:
        return f"{first}: {figure}." if len(table.contenders) == 1 else ""
    if len(best) > 1:
        return f"{', '.join(best[:-1])} and {best[-1]} tie: {figure}."
    return f"{first} is best: {figure}{_lead(report, measure, first, second[0])}{_wins(report, table, first)}."


def _lead(report: Report, measure: Measure, leader: str, second: str) -> str:
    gap = abs((mean(report.methods[leader], measure.key) or 0.0) - (mean(report.methods[second], measure.key) or 0.0))
    side = {"higher": "above", "lower": "below"}.get(measure.direction, "from")
    return f", {_show(measure, gap)} {side} {second}"


def _wins(report: Report, table: Table, leader: str) -> str:
    """On how many of its clips the leader has no equal."""
    measure = table.columns[0]
    rivals = [report.methods[name] for name in table.contenders if name != leader]
    ranks = {clip: measure.rank(report.methods[leader].of(clip, measure.key)) for clip in report.clips}
    fought = {clip: rank for clip, rank in ranks.items() if rank is not None}
    if not fought:
        return ""
    won = 0
    for clip, own in fought.items():
        others = [measure.rank(scores.of(clip, measure.key)) for scores in rivals]
        won += all(other is None or own < other for other in others)
    return f", and ahead on {won} of {len(fought)} clips"


def _show(measure: Measure, value: float | None) -> str:
    return f"{measure.show(value)} {measure.unit}".rstrip()
