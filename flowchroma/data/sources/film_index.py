"""What is known of films on disk without opening them: an index that `python -m flowchroma.prepare` writes.

It lies in the set's folder, and is believed only where the times of files and folders say that nothing changed since.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NOTES = ".flowchroma"  # the folder of such notes, in that of the set: writing into it leaves the set's own time alone
_INDEX = f"{NOTES}/index.json"
_VERSION = 1


@dataclass(frozen=True)
class Facts:
    """What a film's own file or folder said when it was last read through."""

    stamp: tuple[int, int]
    frames: int
    size: tuple[int, int]  # height, width


@dataclass(frozen=True)
class FilmIndex:
    """The films under a folder.

    Attributes:
        root: the folder.
        films: facts by path from the root, of films that are whole.
        folders: times of the folders that were searched, by path from the root.
        found: path from the root of each film, by its name.
    """

    root: Path
    films: Mapping[str, Facts] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)
    found: Mapping[str, str] = field(default_factory=dict)

    def facts(self, path: Path) -> Facts | None:
        """What is known of the film at a path."""
        try:
            return self.films.get(path.relative_to(self.root).as_posix())
        except ValueError:
            return None

    def listing(self) -> dict[str, Path] | None:
        """The films by name; None where a folder has changed, so that they have to be looked for."""
        if not self.folders or any(_time(self.root / folder) != time for folder, time in self.folders.items()):
            return None
        return {name: self.root / path for name, path in self.found.items()}


def stamp(path: Path) -> tuple[int, int] | None:
    """A film's size, where it is a file, and time: another pair after any change; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (0 if path.is_dir() else status.st_size), status.st_mtime_ns


def read_index(root: Path) -> FilmIndex:
    """Read a folder's index; an empty one where there is none that can be read."""
    try:
        content = json.loads((root / _INDEX).read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            return FilmIndex(root)
        films = {
            path: Facts((entry["stamp"][0], entry["stamp"][1]), entry["frames"], (entry["size"][0], entry["size"][1]))
            for path, entry in content["films"].items()
        }
        return FilmIndex(root, films, content["folders"], content["found"])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return FilmIndex(root)


def write_index(root: Path, films: Mapping[Path, Facts], found: Mapping[str, Path], folders: list[Path]) -> None:
    """Write a folder's index.

    Args:
        root: the folder.
        films: facts of whole films, by path.
        found: paths of all films, by name.
        folders: that were searched for them.

    Raises:
        OSError: the folder is read-only, or the disk full.
    """
    (root / NOTES).mkdir(exist_ok=True)
    times = {folder.relative_to(root).as_posix(): _time(folder) for folder in folders}
    facts = {
        path.relative_to(root).as_posix(): {"stamp": fact.stamp, "frames": fact.frames, "size": fact.size}
        for path, fact in films.items()
    }
    names = {name: path.relative_to(root).as_posix() for name, path in found.items()}
    write_json(root / _INDEX, {"version": _VERSION, "films": facts, "folders": times, "found": names})


def write_json(path: Path, content: Any) -> None:
    """Write a file of JSON, which replaces another only when whole."""
    part = Path(f"{path}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _time(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None
