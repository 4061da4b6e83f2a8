"""Progress bars on stderr."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from flowchroma.app.progress import LineAMinute


@contextmanager
def clips_bar(clips: int) -> Iterator[Callable[[str, int], None]]:
    """A bar over clips.

    Args:
        clips: how many there are.

    Yields:
        A function that takes a clip's name and its frames so far; with 0 the clip has ended.
    """
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scoring", total=clips)

        def show(clip: str, frames: int) -> None:
            done = f"{clip}, frame {frames}" if frames else clip
            progress.update(task, advance=0 if frames else 1, description=done)

        yield show


@contextmanager
def job_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar that is gone in the end, for jobs whose length may be known late; lines where stderr is no terminal.

    Yields:
        A function that takes what is being done, how much is done, and of how much, None where that is unknown.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        say = LineAMinute()
        yield lambda what, done, of: say(f"{what}: {done}" + (f" of {of}" if of else ""))
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda what, done, of: progress.update(task, description=what, completed=done, total=of)


def counted(show: Callable[[str, int, int | None], None], doing: str, total: int) -> Callable[[str], None]:
    """A function that takes the name of each item when it is done, for a bar of `total` of them."""
    count = itertools.count(1)
    return lambda name: show(f"{doing} {name}", next(count), total)
