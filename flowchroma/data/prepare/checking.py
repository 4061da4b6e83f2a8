"""Reading a set through, to know what is bad before a run does."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from flowchroma.data.clips.reading import knows_flow
from flowchroma.data.sources.film_index import Facts, read_index, stamp, write_index
from flowchroma.data.sources.films import search
from flowchroma.data.sources.source import LazyFilm, ReadableFilm, Source
from flowchroma.errors import UserError


@dataclass
class Checked:
    """What came of a check."""

    films: int = 0
    frames: int = 0  # of the films that are whole
    known: int = 0  # films that have not changed since they were last read, and were not read again
    bad: int = 0  # films
    problems: list[str] = field(default_factory=list)  # a line for each bad file


def all_splits(source: Source) -> dict[str, Sequence[ReadableFilm]]:
    """A source's films by split; the test films are left out where they are those of validation.

    Raises:
        UserError: it has none at all.
    """
    splits: dict[str, Sequence[ReadableFilm]] = {}
    errors = []
    for split in ("train", "val", "test"):
        try:
            splits[split] = source.films(split)
        except UserError as error:
            errors.append(error)
    if not splits:
        raise errors[-1]
    named = {split: [film.name for film in films] for split, films in splits.items()}
    if named.get("test") == named.get("val"):
        splits.pop("test", None)
    return splits


def check(source: Source, progress: Callable[[str, int], None] = lambda name, of: None) -> Checked:
    """Read every frame of a source's films, and write the index of its folder.

    Args:
        source: its films are read, those of all splits.
        progress: is told the name of each film that is done, and how many there are.

    Raises:
        UserError: it has no films, or the index cannot be written.
    """
    listed = {_identity(film): film for of_split in all_splits(source).values() for film in of_split}
    films = [film for film in listed.values() if not knows_flow(film)]  # which are made as they are needed
    known = {film for film in films if isinstance(film, LazyFilm) and film.facts is not None}
    problems: dict[ReadableFilm, list[str]] = {film: [] for film in known}
    unread = [film for film in films if film not in known]
    with warnings.catch_warnings(record=True) as warned, ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("always")
        for film, found in zip(unread, pool.map(problems_of, unread), strict=True):
            problems[film] = found
            progress(film.name, len(unread))
    for film in unread:
        path = getattr(film, "path", None)
        said = dict.fromkeys(str(warning.message) for warning in warned)
        problems[film] += [line for line in said if path is not None and str(path) in line]
    checked = Checked(len(films), known=len(known))
    for film in films:
        checked.problems += problems[film]
        checked.bad += bool(problems[film])
        checked.frames += 0 if problems[film] else len(film)
    _index(getattr(source, "root", None), [film for film in films if not problems[film]])
    return checked


def problems_of(film: ReadableFilm) -> list[str]:
    """Read a film through: a line for each of its files that cannot be read."""
    files = _files(film)
    if isinstance(files, UserError):
        return [str(files)]
    if not files:
        try:
            for _ in film:
                pass
        except UserError as error:
            return [str(error)]
        return []
    from flowchroma.film.folder import missing_numbers  # needs OpenCV

    found: dict[str, None] = {}
    for index in range(len(files)):
        try:
            film.read([index])
        except UserError as error:
            found[str(error)] = None
    return [*found, *missing_numbers(files)]


def _files(film: ReadableFilm) -> Sequence[Path] | UserError:
    """The files of a film's frames, if it has such, or why it cannot be opened."""
    try:
        return getattr(film, "files", ())
    except UserError as error:
        return error


def _identity(film: ReadableFilm) -> object:
    return getattr(film, "path", film.name)


def _index(root: str | Path | None, films: Sequence[ReadableFilm]) -> None:
    if root is None or not Path(root).is_dir():
        return
    root = Path(root)
    facts = {}
    for film in films:
        mark = stamp(film.path) if isinstance(film, LazyFilm) else None
        if mark is not None and isinstance(film, LazyFilm) and film.path.is_relative_to(root):
            facts[film.path] = Facts(mark, len(film), film.size)
    found, folders = search(root)
    before = read_index(root)
    if facts and (facts != {root / path: fact for path, fact in before.films.items()} or before.listing() != found):
        try:
            write_index(root, facts, found, folders)
        except OSError as error:
            raise UserError(
                f"cannot write the index of {root}: {error.strerror or error}; the set can be used without"
            ) from error
