"""Reading small files, and byte ranges of large ones, from a disk or an object store."""

import json
import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from flowchroma.errors import UserError

SHARD_INDEX = "index.json"
SHARD_VERSION = 1
_GAP = 256 * 1024  # bytes between two frames; reading up to so many is cheaper than a second request
_TABLES = 64  # of shards, kept by a process


class ByteRangeReader:
    """Reads from a folder that fsspec can open. Each process opens its own connection, also after fork or unpickling.

    Args:
        root: the folder's path or address.
        cache: folder for local copies of shards, see `Shards`.
    """

    def __init__(self, root: str, cache: str | None = None) -> None:
        self.root, self.cache = root.rstrip("/"), cache
        self._opened: tuple[int, Any, str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the connection."""
        return {**self.__dict__, "_opened": None}

    def read_file(self, name: str) -> bytes:
        """Read a whole file; a `UserError` where it cannot be read."""
        return self._guarded(name, lambda files, folder: files.cat_file(f"{folder}/{name}"))

    def read_table(self, shard: str) -> dict[str, list[list[int]]]:
        """Read the table beside a shard: first byte and length of each frame, by the film's name."""
        return _table(self, shard)

    def read_ranges(self, shard: str, ranges: Sequence[Sequence[int]]) -> list[bytes]:
        """Read ranges of a shard, each a first byte and a length, in rising order; near ones share a request."""
        near = [0, *(at for at, (a, b) in enumerate(pairwise(ranges), 1) if b[0] - sum(a) > _GAP), len(ranges)]
        groups = [ranges[start:stop] for start, stop in pairwise(near)]
        starts, stops = [group[0][0] for group in groups], [sum(group[-1]) for group in groups]
        if self.cache is not None:
            blocks = _slices(self._copy(shard), starts, stops)
        else:
            blocks = self._guarded(
                shard,
                lambda files, folder: files.cat_ranges(
                    [f"{folder}/{shard}"] * len(starts), starts, stops, on_error="raise"
                ),
            )
        return [
            block[first - start : first - start + length]
            for block, start, group in zip(blocks, starts, groups, strict=True)
            for first, length in group
        ]

    def _copy(self, shard: str) -> Path:
        """The path of a local copy of a shard, made by the first process of this node that needs it."""
        from filelock import FileLock

        copy = Path(str(self.cache), shard)
        if copy.exists():
            return copy
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{copy}.lock"):
                if not copy.exists():
                    part = Path(f"{copy}.part")
                    self._guarded(shard, lambda files, folder: files.get_file(f"{folder}/{shard}", str(part)))
                    part.replace(copy)
        except OSError as error:
            raise UserError(f"cannot copy {shard} to {self.cache}: {error.strerror or error}") from error
        return copy

    def _guarded(self, name: str, read: Any) -> Any:
        try:
            files, folder = self._connection
            return read(files, folder)
        except ImportError as error:
            raise UserError(f"cannot open {self.root}: {error}; see 'shards' among the package's extras") from error
        except Exception as error:  # each backend of fsspec has errors of its own
            absent = "there is no such file" if isinstance(error, FileNotFoundError) else None
            reason = absent or getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UserError(f"cannot read {self.root}/{name}: {' '.join(reason.split())}") from error

    @property
    def _connection(self) -> tuple[Any, str]:
        # Neither threads nor sockets survive a fork.
        if self._opened is None or self._opened[0] != os.getpid():
            import fsspec

            files, folder = fsspec.core.url_to_fs(self.root, skip_instance_cache=True)
            self._opened = (os.getpid(), files, folder)
        return self._opened[1], self._opened[2]


def table_name(shard: str) -> str:
    """The name of the table beside a shard."""
    return str(Path(shard).with_suffix(".json"))


def parse_shard_index(data: bytes, name: str) -> list[dict[str, Any]]:
    """Read the list of films; a `UserError` where it is not one, or of another version."""
    try:
        index = json.loads(data)
        version, films = index["version"], index["films"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{name} is no index of shards: pack the films again") from error
    if version != SHARD_VERSION:
        raise UserError(f"{name} was written by another version of FlowChroma: pack the films again")
    return films


@lru_cache(maxsize=_TABLES)
def _table(reader: ByteRangeReader, shard: str) -> dict[str, list[list[int]]]:
    data, name = reader.read_file(table_name(shard)), f"{reader.root}/{table_name(shard)}"
    try:
        return {film["name"]: film["places"] for film in json.loads(data)["films"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{name} is no table of a shard: pack the films again") from error


def _slices(path: Path, starts: Sequence[int], stops: Sequence[int]) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return [os.pread(file.fileno(), stop - start, start) for start, stop in zip(starts, stops, strict=True)]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
