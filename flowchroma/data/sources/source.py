"""What every source of films offers, and what the sources on disk share."""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from flowchroma.data.sources.film_index import Facts, stamp
from flowchroma.errors import UserError

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"))


class ReadableFilm(Protocol):
    """What a clip is read from: `flowchroma.film.Film`, or a generated film."""

    @property
    def name(self) -> str:
        """What the film is called in messages."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[Any]:
        """Read frames as (H, W, 3) uint8 RGB; they may be smaller than `size` but not than `at_least`."""

    def __iter__(self) -> Iterator[Any]:
        """Every frame in order, (H, W, 3) uint8 RGB."""


class Source(Protocol):
    """A collection of films, parted into train and val. Its constructor touches no disk."""

    @property
    def weight(self) -> float:
        """Share of this source among several."""

    @property
    def where(self) -> str:
        """Where its films come from, for messages."""

    def films(self, split: str) -> Sequence[ReadableFilm]:
        """List the films of "train", "val" or "test".

        Raises:
            UserError: there are none; it says what was looked for and where.
        """

    def epoch_length(self, films: int) -> int:
        """Tell how many clips an epoch takes from this source, given how many films it has."""


class LazyFilm:
    """A film on disk, opened when it is first needed: a big set is listed at once, and a bad film fails in its turn.

    Each reading works on a copy, which closes its file when it is done: a worker that has seen many films holds none.

    Args:
        name: what messages call it.
        path: its file or folder.
        indexed: what an index says of it, which is believed as long as the file or folder has not changed.
    """

    def __init__(self, name: str, path: Path, indexed: Facts | None = None) -> None:
        self.name, self.path, self._indexed = name, path, indexed

    @cached_property
    def facts(self) -> Facts | None:
        """What the index says of it, if that is still true."""
        return self._indexed if self._indexed is not None and stamp(self.path) == self._indexed.stamp else None

    @cached_property
    def _film(self) -> ReadableFilm:
        from flowchroma.film import open_film

        film = open_film(self.path)
        _ = len(film), film.size  # found once and kept, not by every copy anew
        return film

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.facts.size if self.facts else self._film.size

    def __len__(self) -> int:
        return self.facts.frames if self.facts else len(self._film)

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[Any]:
        """See `flowchroma.film.Film.read`."""
        return copy(self._film).read(indices, at_least)

    def __iter__(self) -> Iterator[Any]:
        """See `flowchroma.film.Film.__iter__`."""
        return iter(copy(self._film))

    @property
    def files(self) -> Sequence[Path]:
        """The frames' files, where the film is a folder of frames; else none."""
        return getattr(self._film, "files", ())


def existing_root(root: str | Path | None, holds: str) -> Path:
    """Check a data set's folder.

    Raises:
        UserError: it was not given or does not exist; `holds` says what it should hold.
    """
    if root is None:
        raise UserError(f"data.root is not set: give the folder that holds {holds}")
    if not Path(root).is_dir():
        raise UserError(f"{root} is not a folder: set data.root to the one that holds {holds}")
    return Path(root)


def read_list(path: Path) -> list[str]:
    """Read names, one a line; blank lines and repetitions are dropped."""
    names = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return list(dict.fromkeys(name for name in names if name))
