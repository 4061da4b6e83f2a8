"""Reading all frames of a data set, to find damaged ones before a run does."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from flowchroma.data.sources.film_index import FilmInfo, file_version, read_film_index, write_film_index
from flowchroma.data.sources.films import search
from flowchroma.data.sources.source import FolderSource, LazyFilm, Source
from flowchroma.errors import UserError
from flowchroma.film.film import Film, HasExactFlow


@dataclass
class CheckResult:
    """What a check found."""

    films: int = 0
    frames: int = 0  # of the films without damage
    unchanged: int = 0  # films that are the same as at the last check, and were not read again
    bad: int = 0  # films with damage
    problems: list[str] = field(default_factory=list)  # a line for each file that is damaged


def all_splits(source: Source) -> dict[str, Sequence[Film]]:
    """A source's films by split, those of test only where they are not those of validation."""
    splits: dict[str, Sequence[Film]] = {}
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


def check(source: Source, progress: Callable[[str, int], None] = lambda name, of: None) -> CheckResult:
    """Read every frame of a source's films, and write the index of its folder.

    `progress` is called with the name of each film that is done, and how many there are. A `UserError` where there are
    no films, or the index cannot be written.
    """
    listed = {film.path or film.name: film for of_split in all_splits(source).values() for film in of_split}
    films = [film for film in listed.values() if not isinstance(film, HasExactFlow)]  # those are generated
    unchanged = {film for film in films if isinstance(film, LazyFilm) and film.info is not None}
    problems: dict[Film, list[str]] = {film: [] for film in unchanged}
    unread = [film for film in films if film not in unchanged]
    with warnings.catch_warnings(record=True) as warned, ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("always")
        for film, found in zip(unread, pool.map(problems_of, unread), strict=True):
            problems[film] = found
            progress(film.name, len(unread))
    for film in unread:
        messages = dict.fromkeys(str(warning.message) for warning in warned)
        problems[film] += [line for line in messages if film.path is not None and str(film.path) in line]
    checked = CheckResult(len(films), unchanged=len(unchanged))
    for film in films:
        checked.problems += problems[film]
        checked.bad += bool(problems[film])
        checked.frames += 0 if problems[film] else len(film)
    if isinstance(source, FolderSource) and source.root is not None and Path(source.root).is_dir():
        _update_index(Path(source.root), [film for film in films if not problems[film]])
    return checked


def problems_of(film: Film) -> list[str]:
    """Read all frames of a film: a line for each of its files that cannot be read."""
    try:
        files = film.files
        if not files:
            for _ in film:
                pass
            return []
    except UserError as error:
        return [str(error)]
    from flowchroma.film.folder import missing_numbers  # needs OpenCV

    found: dict[str, None] = {}
    for index in range(len(files)):
        try:
            film.read([index])
        except UserError as error:
            found[str(error)] = None
    return [*found, *missing_numbers(files)]


def _update_index(root: Path, films: Sequence[Film]) -> None:
    entries = {}
    for film in films:
        if isinstance(film, LazyFilm) and film.path.is_relative_to(root) and (version := file_version(film.path)):
            entries[film.path] = FilmInfo(version, len(film), film.size)
    found, folders = search(root)
    before = read_film_index(root)
    known = {root / path: info for path, info in before.films.items()}
    if entries and (entries != known or before.current_films() != found):
        try:
            write_film_index(root, entries, found, folders)
        except OSError as error:
            raise UserError(
                f"cannot write the index of {root}: {error.strerror or error}; the set can be used without"
            ) from error
