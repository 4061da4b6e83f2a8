"""Films, as files or as folders of frames, anywhere under one folder: Videvo and the like."""

import os
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from flowchroma.data.sources.film_index import read_film_index
from flowchroma.data.sources.source import FolderSource, LazyFilm, existing_root, read_list
from flowchroma.errors import UserError
from flowchroma.film.suffixes import FILM_SUFFIXES, FRAME_SUFFIXES

_HELD_OUT = ("val", "test")


@dataclass(frozen=True)
class Films(FolderSource):
    """Every film under a folder, and every folder of frames.

    The first of these that applies decides the split: the lists of names (with two lists, films in neither are left
    out; with one list, all other films are the other split), sub-folders `train`, `val` and `test`, or a hash of the
    film's name, which stays the same when films are added.

    Args:
        root: the folder that holds the films.
        train_list: file of names, one a line, with or without suffix; relative to root if not found as it stands.
        val_list: the same for validation.
        val_fraction: part of the films that the hash gives to validation; at least one, and never all.
        clips_per_film: clips that an epoch takes from each film.
        weight: share of this source among several.
    """

    root: str | Path | None
    train_list: str | Path | None = None
    val_list: str | Path | None = None
    val_fraction: float = 0.15
    clips_per_film: int = 4
    weight: float = 1.0

    def films(self, split: str) -> list[LazyFilm]:
        """List the films of a split; "test" is the validation split, unless there is a sub-folder `test`.

        A `UserError` where the root or a list is missing, the lists share a film, or the split is empty.
        """
        root = existing_root(self.root, "the films")
        found = find_films(root)
        if not found:
            looked_for = sorted(FILM_SUFFIXES | FRAME_SUFFIXES)
            raise UserError(f"no film and no folder of frames lies under {root}: looked for *{', *'.join(looked_for)}")
        if self.train_list is not None or self.val_list is not None:
            return self._listed(root, found, split)
        names = pick_split(found, split, self.val_fraction)
        if not names:
            raise UserError(f"of the {len(found)} films under {root} none is for {split}: add some, or give lists")
        index = read_film_index(root)
        return [LazyFilm(name, found[name], index.lookup(found[name])) for name in names]

    def _listed(self, root: Path, found: dict[str, Path], split: str) -> list[LazyFilm]:
        by_alias = _aliases(found)
        files = {"train": self.train_list, "val": self.val_list}
        listed = {name: _names(root, path) for name, path in files.items() if path is not None}
        members = {
            name: {film for alias in aliases for film in by_alias.get(alias, ())} for name, aliases in listed.items()
        }
        shared = sorted(members.get("train", set()) & members.get("val", set()))
        if shared:
            raise UserError(f"{shared[0]} is in both {self.train_list} and {self.val_list}: a film may be in one only")
        side = "train" if split == "train" else "val"
        if side in members:
            names = sorted(members[side])
            missing = [alias for alias in listed[side] if alias not in by_alias]
        else:
            names = sorted(set(found) - set().union(*members.values()))
            missing = []
        if not names:
            raise UserError(f"of the {len(found)} films under {root} the lists leave none for {split}")
        # Reading a film that is listed but does not exist raises an error, so that it is reported and skipped.
        index = read_film_index(root)
        present = (LazyFilm(name, found[name], index.lookup(found[name])) for name in names)
        return [*present, *(LazyFilm(name, root / name) for name in missing)]


def find_films(root: Path) -> dict[str, Path]:
    """Find films under a folder: paths by name, which is the path from the root without a file's suffix.

    They are taken from the folder's index, where there is a valid one.
    """
    listed = read_film_index(root).current_films()
    return search(root)[0] if listed is None else listed


def search(root: Path) -> tuple[dict[str, Path], list[Path]]:
    """Search a folder for films: paths by name as in `find_films`, and the folders that were searched."""
    found: dict[str, Path] = {}
    searched: list[Path] = []
    for here, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        folder = Path(here)
        films = sorted(file for file in files if Path(file).suffix.lower() in FILM_SUFFIXES and file[0] != ".")
        frames = any(Path(file).suffix.lower() in FRAME_SUFFIXES for file in files)
        if frames and all(file.lower().endswith(".gif") for file in films):
            films = []  # a preview, beside the frames themselves
        for file in films:
            found.setdefault((folder / file).relative_to(root).with_suffix("").as_posix(), folder / file)
        if not films and frames:
            found[folder.relative_to(root).as_posix() if folder != root else root.name] = folder
            folders.clear()
        else:
            searched.append(folder)
    return dict(sorted(found.items())), searched


def pick_split(found: Collection[str], split: str, fraction: float) -> list[str]:
    """Pick a split's names by sub-folders train, val and test, or by hash where there is neither val nor test."""
    names = _by_folder(found, split)
    if names is not None:
        return names
    held_out = _hashed(found, fraction)
    return [name for name in found if (name in held_out) == (split != "train")]


def _by_folder(found: Iterable[str], split: str) -> list[str] | None:
    """Pick a split's films by sub-folder; None where neither `val` nor `test` has any."""
    groups: dict[str, list[str]] = {}
    for name in found:
        first, *rest = PurePosixPath(name).parts
        groups.setdefault(first if rest and first in ("train", *_HELD_OUT) else "", []).append(name)
    if not any(group in groups for group in _HELD_OUT):
        return None
    if split == "train":
        return groups.get("train") or groups.get("", [])
    return groups.get(split) or next(groups[group] for group in _HELD_OUT if group in groups)


def _hashed(names: Iterable[str], fraction: float) -> set[str]:
    """Pick the names of the validation split, each by its own hash, whatever other films there are."""
    ranked = sorted(names, key=_position)
    count = sum(_position(name) < fraction for name in ranked)
    return set(ranked[: max(1, min(count, len(ranked) - 1))]) if len(ranked) > 1 else set()


def _position(name: str) -> float:
    return zlib.crc32(name.encode()) / 2**32


def _aliases(found: dict[str, Path]) -> dict[str, list[str]]:
    """The films that a name in a list may mean, by path or by its last part, with or without suffix."""
    by_alias: dict[str, list[str]] = {}
    for name, path in found.items():
        last = PurePosixPath(name).name
        for alias in {name, last, path.name, name + path.suffix}:
            by_alias.setdefault(alias, []).append(name)
    return by_alias


def _names(root: Path, path: str | Path) -> list[str]:
    for candidate in (Path(path), root / path):
        if candidate.is_file():
            return read_list(candidate)
    raise UserError(f"{path} is neither a file nor one under {root}: it should name films, one a line")
