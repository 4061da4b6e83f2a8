"""What every source of films offers, and what the sources on disk share."""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from flowchroma.data.sources.film_index import FilmInfo, file_version
from flowchroma.errors import UserError
from flowchroma.film.film import Film
from flowchroma.film.opening import open_film


class Source(Protocol):
    """A collection of films, split into train, val and test. Its constructor does not read the disk."""

    @property
    def weight(self) -> float:
        """Share of this source among several."""

    @property
    def where(self) -> str:
        """Where its films come from, for messages."""

    def films(self, split: str) -> Sequence[Film]:
        """List the films of "train", "val" or "test"; a `UserError` for none, with what was looked for."""

    def epoch_length(self, films: int) -> int:
        """How many clips an epoch takes from this source, given its number of training films."""


class FolderSource:
    """What sources of films under one folder share; `flowchroma.prepare` writes an index of the folder for these."""

    root: str | Path | None  # the folder, or its address in an object store
    clips_per_film: int = 0  # that an epoch takes; 0 for test sets

    @property
    def where(self) -> str:
        """Where its films come from, for messages."""
        return str(self.root)

    def epoch_length(self, films: int) -> int:
        """How many clips an epoch takes from this source, given its number of training films."""
        return films * self.clips_per_film


class LazyFilm:
    """A film on disk, opened when it is first needed: listing a large set opens none, and errors come when reading.

    Each call of `read` uses a copy of the opened film, which closes its file afterwards: workers keep no files open.

    Args:
        name: what messages call it.
        path: its file or folder.
        indexed: its entry in an index, used as long as the file or folder has not changed.
    """

    def __init__(self, name: str, path: Path, indexed: FilmInfo | None = None) -> None:
        self.name, self.path, self._indexed = name, path, indexed

    @cached_property
    def info(self) -> FilmInfo | None:
        """Its entry in the index, if that is still valid."""
        valid = self._indexed is not None and file_version(self.path) == self._indexed.version
        return self._indexed if valid else None

    @cached_property
    def _film(self) -> Film:
        film = open_film(self.path)
        _ = len(film), film.size  # are computed on first use: here once, instead of in every copy
        return film

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.info.size if self.info else self._film.size

    def __len__(self) -> int:
        return self.info.frames if self.info else len(self._film)

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `flowchroma.film.Film.read`."""
        return copy(self._film).read(indices, at_least)

    def __iter__(self) -> Iterator[np.ndarray]:
        """See `flowchroma.film.Film.__iter__`."""
        return iter(copy(self._film))

    @property
    def files(self) -> Sequence[Path]:
        """The picture of each frame, where the film is a folder of pictures; else empty."""
        return self._film.files


def existing_root(root: str | Path | None, holds: str) -> Path:
    """Check a data set's folder: a `UserError` that names what it `holds`, where it was not given or does not exist."""
    if root is None:
        raise UserError(f"data.root is not set: give the folder that holds {holds}")
    if not Path(root).is_dir():
        raise UserError(f"{root} is not a folder: set data.root to the one that holds {holds}")
    return Path(root)


def frames_folder(images: Path, resolution: str | None) -> Path:
    """Pick the folder of a resolution in DAVIS's JPEGImages: the one that is named, the only one, or 480p."""
    found = sorted(path.name for path in images.iterdir() if path.is_dir())
    name = resolution or (found[0] if len(found) == 1 else "480p")
    if name not in found:
        raise UserError(f"{images} has no resolution {name}; it has: {', '.join(found) or 'none'}")
    return images / name


def read_list(path: Path) -> list[str]:
    """Read names, one a line, in UTF-8 or UTF-16 as a byte order mark says, and no other encoding.

    Blank lines and repetitions are dropped.
    """
    content = path.read_bytes()
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8: save it as UTF-8") from error
    if "\0" in text:
        raise UserError(f"{path} is not in UTF-8, or is no text: save it as UTF-8")
    return list(dict.fromkeys(name for line in text.splitlines() if (name := line.strip())))
