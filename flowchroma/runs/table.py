"""The table of runs: what differs in config and in result, the best first, for a terminal and as CSV."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flowchroma.files.atomic import write_atomically
from flowchroma.runs.ideas import differences, format_value, short_names
from flowchroma.runs.training_run import DEFAULT_METRIC, Run, is_lower_better

_STATES = {"finished": "", "unfinished": "yellow", "failed": "red", "empty": "dim"}


def sorted_by_metric(runs: Sequence[Run], metric: str = DEFAULT_METRIC) -> list[Run]:
    """The best finished run first, then unfinished ones by what they reached so far, then those without a figure."""
    return sorted(runs, key=lambda run: (run.state != "finished", rank(run, metric)))


def metrics_of(runs: Sequence[Run], first: str = DEFAULT_METRIC) -> list[str]:
    """The validated figures that any run has, `first` first."""
    names = {name for run in runs for name in (*run.results, *run.curves) if name.startswith("val/")}
    return sorted(names, key=lambda name: (name != first, name != DEFAULT_METRIC, name))


def write_table(runs: Sequence[Run], path: Path, metric: str = DEFAULT_METRIC) -> None:
    """Write one row a run: run, state, detail, seed, model, what differs, figures, overrides, commit, directory."""
    ordered = sorted_by_metric(runs, metric)
    table, metrics = differences(ordered), metrics_of(ordered, metric)
    rows = []
    for i, run in enumerate(ordered):
        choices = run.record.get("choices") or {}
        git = run.record.get("git") or {}
        rows.append(
            {
                "run": run.title,
                "name": run.name,
                "state": run.state,
                "detail": run.detail,
                **{name: v if (v := run.best_value(name)) is None else round(v, 6) for name in metrics},
                "stage": run.config.get("stage.name", ""),
                "model": choices.get("model", ""),
                "seed": run.config.get("seed", ""),
                **{key: values[i] for key, values in table.items()},
                "overrides": " ".join(map(str, run.record.get("overrides", ()))),
                "commit": f"{git.get('commit', '')}{' and changes' if git.get('dirty') else ''}",
                "directory": str(run.path),
            }
        )
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def print_table(runs: Sequence[Run], metric: str = DEFAULT_METRIC, console: Console | None = None) -> None:
    """Print the runs, and below them why some did not finish; further options and figures as far as there is room."""
    console = console or Console()
    ordered = sorted_by_metric(runs, metric)
    columns = {"run": [run.title for run in ordered]}
    options = differences(ordered)
    last = {metric: [format_metric(run, metric) for run in ordered]}
    if any(run.state != "finished" for run in ordered):
        last["state"] = [run.state for run in ordered]
    room = console.width - sum(_width(*column) for column in (*columns.items(), *last.items()))
    wanted = {name: [format_value(value) for value in options[key]] for key, name in short_names(options).items()}
    further = {name: [format_metric(run, name) for run in ordered] for name in metrics_of(ordered, metric)[1:]}
    for place, more in ((columns, wanted), (last, further)):
        for name, cells in more.items():
            room -= _width(name, cells)
            if room < 0:
                break
            place[name] = cells
    columns |= last
    title = f"{len(runs)} run{'s' if len(runs) != 1 else ''} by {metric}"
    drawn = Table(title=title, title_justify="left", box=None, header_style="", padding=(0, 1))
    for name in columns:
        drawn.add_column(escape(name.removeprefix("val/")), justify="right" if name.startswith("val/") else "left")
    for run, row in zip(ordered, zip(*columns.values(), strict=True), strict=True):
        drawn.add_row(*map(escape, row), style=_STATES[run.state])
    console.print(drawn)
    if left := [name for name in wanted if name not in columns]:
        line = f"They also differ in {', '.join(left[:6])}{f' and {len(left) - 6} more' if len(left) > 6 else ''}."
        console.print(line, style="dim", soft_wrap=True, highlight=False, markup=False)
    for run in ordered:
        if run.detail:
            line = f"{run.title} {run.state}: {run.detail}"
            console.print(line, style=_STATES[run.state], soft_wrap=True, highlight=False, markup=False)


def format_metric(run: Run, metric: str) -> str:
    """A figure as people read it; "so far" is marked with an asterisk."""
    value = run.best_value(metric)
    if value is None:
        return "—"
    return f"{value:.3f}{'' if run.state == 'finished' else '*'}"


def _width(name: str, cells: Sequence[str]) -> int:
    return max(map(len, (name.removeprefix("val/"), *cells))) + 2


def rank(run: Run, metric: str) -> float:
    """A run's value of a metric, negated where more is better: the best is the lowest, none the highest."""
    value = run.best_value(metric)
    if value is None:
        return math.inf
    return value if is_lower_better(metric) else -value
