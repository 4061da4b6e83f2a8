"""An index of the films under a folder: their lengths and sizes, and the files and folders that they are.

`python -m flowchroma.prepare` writes it. An entry is used only as long as the time of its file or folder is the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowchroma.files.atomic import write_atomically

NOTES_FOLDER = ".flowchroma"  # in the set's folder, whose own time does not change when files are written here
_INDEX = f"{NOTES_FOLDER}/index.json"
_VERSION = 1


@dataclass(frozen=True)
class FilmInfo:
    """The entry of a film."""

    version: tuple[int, int]  # `file_version` when the film was read
    frames: int
    size: tuple[int, int]  # height, width


@dataclass(frozen=True)
class FilmIndex:
    """The films under a folder."""

    root: Path
    films: Mapping[str, FilmInfo] = field(default_factory=dict)  # those without damage, by path from the root
    folders: Mapping[str, int] = field(default_factory=dict)  # that were searched: times of change, by path
    paths: Mapping[str, str] = field(default_factory=dict)  # from the root, of every film, by its name

    def lookup(self, path: Path) -> FilmInfo | None:
        """The entry of the film at a path, if there is one."""
        try:
            return self.films.get(path.relative_to(self.root).as_posix())
        except ValueError:
            return None

    def current_films(self) -> dict[str, Path] | None:
        """The paths of all films by name; None where a folder has changed, so that they have to be searched for."""
        if not self.folders or any(_time(self.root / folder) != time for folder, time in self.folders.items()):
            return None
        return {name: self.root / path for name, path in self.paths.items()}


def file_version(path: Path) -> tuple[int, int] | None:
    """The size in bytes (0 for a folder) and the modification time of a film; None where it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (0 if path.is_dir() else status.st_size), status.st_mtime_ns


def read_film_index(root: Path) -> FilmIndex:
    """Read a folder's index; an empty one where there is none that can be read."""
    try:
        content = json.loads((root / _INDEX).read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            return FilmIndex(root)
        films = {
            path: FilmInfo(
                (entry["stamp"][0], entry["stamp"][1]), entry["frames"], (entry["size"][0], entry["size"][1])
            )
            for path, entry in content["films"].items()
        }
        return FilmIndex(root, films, content["folders"], content["found"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return FilmIndex(root)


def write_film_index(
    root: Path, films: Mapping[Path, FilmInfo], paths: Mapping[str, Path], folders: list[Path]
) -> None:
    """Write a folder's index: entries of films without damage, the paths of all films, and the folders searched."""
    (root / NOTES_FOLDER).mkdir(exist_ok=True)
    times = {folder.relative_to(root).as_posix(): _time(folder) for folder in folders}
    entries = {
        path.relative_to(root).as_posix(): {"stamp": info.version, "frames": info.frames, "size": info.size}
        for path, info in films.items()
    }
    names = {name: path.relative_to(root).as_posix() for name, path in paths.items()}
    write_json(root / _INDEX, {"version": _VERSION, "films": entries, "folders": times, "found": names})


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically."""
    write_atomically(path, json.dumps(content, separators=(",", ":")))


def _time(folder: Path) -> int | None:
    version = file_version(folder)
    return None if version is None else version[1]
