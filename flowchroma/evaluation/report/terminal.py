"""The table of means in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from flowchroma.evaluation.measures import Measure
from flowchroma.evaluation.report.contents import Report
from flowchroma.evaluation.report.ranking import Cell, Table, rank

_ARROWS = {"higher": " ↑", "lower": " ↓", "closest to 1": " →1", "none": ""}


def print_table(report: Report, console: Console | None = None) -> None:
    """Print the means, the best in bold and the bounds dim; as several tables where the terminal is narrow."""
    console = console or Console()
    table = rank(report)
    for columns in _fitting(table, console.width):
        console.print(_rich(table, columns))
    for row in table.rows:
        if row.bound:
            console.print(f"[dim]{row.method} is {row.bound}[/dim]")
    for key, reason in table.notes.items():
        title = next(measure.title for measure in table.columns if measure.key == key)
        console.print(f"[dim]— {escape(title)}: {escape(reason)}[/dim]")
    if any(cell.partial is not None for row in table.rows for cell in row.cells):
        console.print(f"[dim]* a mean over fewer than all {table.clips} clips[/dim]")


def _rich(table: Table, columns: Sequence[int]) -> RichTable:
    drawn = RichTable(box=None, header_style="", padding=(0, 1))
    drawn.add_column("method", no_wrap=True)
    for i in columns:
        drawn.add_column(_head(table.columns[i]), justify="right", no_wrap=True)
    for row in table.rows:
        drawn.add_row(escape(row.method), *(_cell(row.cells[i]) for i in columns), style="dim" if row.bound else "")
    return drawn


def _fitting(table: Table, width: int) -> list[list[int]]:
    """The columns in groups that each fit beside the methods' names."""
    names = max([len("method"), *(len(row.method) for row in table.rows)]) + 2
    groups: list[list[int]] = [[]]
    left = width - names
    for i, measure in enumerate(table.columns):
        need = max([*map(len, _head(measure).split("\n")), *(len(row.cells[i].text) + 1 for row in table.rows)]) + 2
        if need > left and groups[-1]:
            groups.append([])
            left = width - names
        groups[-1].append(i)
        left -= need
    return groups


def _head(measure: Measure) -> str:
    return f"{measure.title}{_ARROWS[measure.direction]}\n{measure.unit}"


def _cell(cell: Cell) -> str:
    text = cell.text + ("*" if cell.partial is not None else "")
    return f"[bold]{text}[/bold]" if cell.place == 1 else text
