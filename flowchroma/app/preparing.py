"""What `python -m flowchroma.prepare` does: get a set, check it, pack it, encode it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from flowchroma.app.progress import counted, job_bar
from flowchroma.data import Source
from flowchroma.data.prepare import all_splits, check, encode, fetch_archives, pack
from flowchroma.errors import UserError
from flowchroma.film import Film


def run(config: DictConfig) -> None:
    """Get a set if it is not there; then check, pack or encode it."""
    if "sources" not in config.data:
        raise UserError("data=rollouts holds no films: choose another set, see --help", code=2)
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
        what, it = ("1 thing is", "it") if len(problems) == 1 else (f"{len(problems)} things are", "them")
        raise UserError(f"{what} bad, see above: mend or remove {it}, and run this again")


def download(config: DictConfig) -> None:
    """Get what the set's archives hold."""
    if config.data.root in (None, ""):
        raise UserError("data.root is not set: give the folder that holds the set, or is to hold it")
    with job_bar() as show:
        archives = {name: instantiate(archive) for name, archive in config.archive.items()}
        lines = fetch_archives(archives, Path(config.data.root).expanduser(), show)
    for line in lines:
        print(line)


def check_one(source: Source) -> list[str]:
    """Check one source; what is bad in it."""
    with job_bar() as show:
        count = iter(range(1, sys.maxsize))
        checked = check(source, lambda name, of: show(f"reading {name}", next(count), of))
    known = f", {checked.unchanged} of them known from before" if checked.unchanged else ""
    bad = f"; {checked.bad} of {checked.films} films are bad" if checked.bad else ""
    print(f"{source.where}: {checked.films - checked.bad} films are whole{known}, {checked.frames} frames{bad}")
    return checked.problems


def pack_all(config: DictConfig, sources: Sequence[Source]) -> list[str]:
    """Pack all sources into one set of shards; what could not be read."""
    splits: dict[str, list[Film]] = {}
    for source in sources:
        for split, films in all_splits(source).items():
            splits.setdefault(split, []).extend(films)
    for option, least, most in (("shard", 1, 1 << 20), ("jpeg", 1, 100)):
        if not isinstance(config[option], int) or not least <= config[option] <= most:
            raise UserError(f"{option} must be a whole number from {least} to {most}, not {config[option]}", code=2)
    if "://" in config.pack:
        raise UserError(f"pack={config.pack}: give a folder here, and copy it to the store when it is whole")
    with job_bar() as show:
        progress = counted(show, "packing", sum(map(len, splits.values())))
        packed = pack(splits, Path(config.pack), config.shard << 20, config.jpeg, progress)
    print(f"{packed.films} films are packed, {packed.new} of them now: data=shards data.root={config.pack}")
    return packed.problems


def encode_all(config: DictConfig, sources: Sequence[Source]) -> list[str]:
    """Encode the films of all sources; what could not be read."""
    films = {film.name: film for source in sources for part in all_splits(source).values() for film in part}
    with job_bar() as show:
        target = Path(config.encode)
        done = encode([*films.values()], target, config.gop, config.quality, counted(show, "encoding", len(films)))
    rest = f", {done.folders} folders of frames need no encoding" if done.folders else ""
    print(
        f"{done.encoded} films were encoded, {done.copied} copied as they are, {done.present} were there before{rest}"
    )
    return done.problems
