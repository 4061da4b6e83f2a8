"""Make a set of films ready to train on: python -m flowchroma.prepare data=davis data.root=DIR [pack=SHARDS]."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress

from flowchroma.app.options import command
from flowchroma.app.progress import LineAMinute
from flowchroma.data import ReadableFilm, Source
from flowchroma.data.prepare.archives import obtain
from flowchroma.data.prepare.checking import all_splits, check
from flowchroma.data.prepare.encoding import encode
from flowchroma.data.prepare.packing import pack
from flowchroma.errors import UserError

_TEXTS = ("data.root", "pack", "encode")


def main() -> None:
    """Run the command."""
    command("prepare", run, _TEXTS, "what is done is kept: run it again to go on")


def run(config: DictConfig) -> None:
    """Get a set if it is not there; then check, pack or encode it."""
    if config.archive and config.download:
        download(config)
    sources = instantiate(config.data).open_sources()
    problems: list[str] = []
    if config.pack is None and config.encode is None:
        for source in sources:
            problems += check_one(source)
    if config.pack is not None:
        problems += pack_all(config, sources)
    if config.encode is not None:
        problems += encode_all(config, sources)
    for line in problems:
        print(f"flowchroma: {line}", file=sys.stderr)
    if problems:
        what = (
            "1 thing is bad, see above: mend or remove it"
            if len(problems) == 1
            else (f"{len(problems)} things are bad, see above: mend or remove them")
        )
        raise UserError(f"{what}, and run this again")


def download(config: DictConfig) -> None:
    """Get what the set's archives hold."""
    if config.data.root in (None, ""):
        raise UserError("data.root is not set: give the folder that holds the set, or is to hold it")
    with _bar() as show:
        archives = {name: instantiate(archive) for name, archive in config.archive.items()}
        lines = obtain(archives, Path(config.data.root).expanduser(), show)
    for line in lines:
        print(line)


def check_one(source: Source) -> list[str]:
    """Check one source; what is bad in it."""
    with _bar() as show:
        count = iter(range(1, sys.maxsize))
        checked = check(source, lambda name, of: show(f"reading {name}", next(count), of))
    known = f", {checked.known} of them known from before" if checked.known else ""
    bad = f"; {checked.bad} of {checked.films} films are bad" if checked.bad else ""
    print(f"{source.where}: {checked.films - checked.bad} films are whole{known}, {checked.frames} frames{bad}")
    return checked.problems


def pack_all(config: DictConfig, sources: Sequence[Source]) -> list[str]:
    """Pack all sources into one set of shards; what could not be read."""
    splits: dict[str, list[ReadableFilm]] = {}
    for source in sources:
        for split, films in all_splits(source).items():
            splits.setdefault(split, []).extend(films)
    for option, least, most in (("shard", 1, 1 << 20), ("jpeg", 1, 100)):
        if not isinstance(config[option], int) or not least <= config[option] <= most:
            raise UserError(f"{option} must be a whole number from {least} to {most}, not {config[option]}", code=2)
    if "://" in config.pack:
        raise UserError(f"pack={config.pack}: give a folder here, and copy it to the store when it is whole")
    with _bar() as show:
        packed = pack(splits, Path(config.pack), config.shard << 20, config.jpeg, _counted(show, "packing", splits))
    print(f"{packed.films} films are packed, {packed.new} of them now: data=shards data.root={config.pack}")
    return packed.problems


def encode_all(config: DictConfig, sources: Sequence[Source]) -> list[str]:
    """Encode the films of all sources; what could not be read."""
    films = {film.name: film for source in sources for part in all_splits(source).values() for film in part}
    with _bar() as show:
        target = Path(config.encode)
        done = encode([*films.values()], target, config.gop, config.quality, _counted(show, "encoding", {"": films}))
    rest = f", {done.folders} folders of frames need no encoding" if done.folders else ""
    print(f"{done.encoded} films were encoded, {done.copied} copied as they are, {done.there} were there before{rest}")
    return done.problems


def _counted(show: Callable[..., None], what: str, splits: Any) -> Callable[[str], None]:
    count, of = iter(range(1, sys.maxsize)), sum(map(len, splits.values()))
    return lambda name: show(f"{what} {name}", next(count), of)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int | None], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        say = LineAMinute()
        yield lambda what, done, of: say(f"{what}: {done}" + (f" of {of}" if of else ""))
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda what, done, of: progress.update(task, description=what, completed=done, total=of)


if __name__ == "__main__":
    main()
