"""Who is best, in one sentence."""

from flowchroma.evaluation.measures import Measure
from flowchroma.evaluation.report.contents import Report
from flowchroma.evaluation.report.ranking import Table, mean


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
