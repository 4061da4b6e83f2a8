"""How far a long job is: a bar on a terminal, a line a minute elsewhere, as in a log; a file, for other programs."""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

FILE = "FLOWCHROMA_PROGRESS"  # an environment variable: where a job that another program started says how far it is
_EVERY = 60.0  # seconds from one line to the next
_OFTEN = 0.3  # from one writing of the file to the next


@contextmanager
def shown_progress(what: str, total: int, unit: str = "frames", bar: bool = True) -> Iterator[Callable[[int], None]]:
    """Show on stderr how much is done of a `total`; yields a function that is told so, each time that is more.

    Without `bar` lines are shown on a terminal too, to which other processes write.
    """
    if path := os.environ.get(FILE):
        yield _file(Path(path), what, total)
        return
    console = Console(stderr=True)
    if not bar or not console.is_terminal:
        yield _lines(what, total, unit)
        return
    speed, left = TextColumn(f"{{task.fields[rate]:.1f}} {unit}/s"), TextColumn("left")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn(), left)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total, rate=0.0)
        started = time.perf_counter()
        yield lambda done: progress.update(
            task, completed=done, rate=done / max(1e-9, time.perf_counter() - started)
        )  # fmt: skip


def _lines(what: str, total: int, unit: str) -> Callable[[int], None]:
    started, say = time.monotonic(), _line_a_minute()

    def show(done: int) -> None:
        rate = done / max(1e-9, time.monotonic() - started)
        left = (total - done) / rate / 60 if rate else 0
        say(f"{what}: {done} of {total} {unit}, {rate:.2f} a second, {left:.0f} minutes left")

    return show


def _file(path: Path, what: str, total: int) -> Callable[[int], None]:
    """A function that keeps in a file what is being done, how much of it is done, and for how many seconds."""
    started = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _OFTEN and 0 < done < total:
            return
        last = now
        side = path.with_name(f"{path.name}.partial")
        with suppress(OSError):  # a full disk ends the job elsewhere
            side.write_text(json.dumps({"what": what, "done": done, "total": total, "seconds": now - started}))
            side.replace(path)

    show(0)
    return show


def _line_a_minute() -> Callable[[str], None]:
    """A function that prints on stderr those lines that come a minute or more after the last one that was printed."""
    last = time.monotonic()

    def say(line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY:
            last = now
            print(line, file=sys.stderr, flush=True)

    return say


@contextmanager
def clips_bar(clips: int) -> Iterator[Callable[[str, int], None]]:
    """A bar over clips; yields a function that takes a clip's name and its frames so far, 0 where it has ended."""
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scoring", total=clips)

        def show(clip: str, frames: int) -> None:
            done = f"{clip}, frame {frames}" if frames else clip
            progress.update(task, advance=0 if frames else 1, description=escape(done))

        yield show


@contextmanager
def job_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar that is gone in the end, for jobs whose length may be known late; lines where stderr is no terminal.

    Yields a function that takes what is being done, how much is done, and of how much, None where that is unknown.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        say = _line_a_minute()
        yield lambda what, done, of: say(f"{what}: {done}" + (f" of {of}" if of else ""))
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda what, done, of: progress.update(task, description=escape(what), completed=done, total=of)


def counted(show: Callable[[str, int, int | None], None], doing: str, total: int) -> Callable[[str], None]:
    """A function that takes the name of each item when it is done, for a bar of `total` of them."""
    count = itertools.count(1)
    return lambda name: show(f"{doing} {name}", next(count), total)
