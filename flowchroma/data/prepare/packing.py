"""Films into shards that `Shards` reads."""

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from flowchroma.data.sources.byte_ranges import INDEX, VERSION, table_of
from flowchroma.data.sources.film_index import write_json
from flowchroma.data.sources.shards import ShardFilm
from flowchroma.data.sources.source import ReadableFilm
from flowchroma.errors import UserError

_BLOCK = 512  # tar's


@dataclass
class Packed:
    """What came of packing."""

    films: int = 0  # in the shards now
    new: int = 0  # of them, packed by this call
    problems: list[str] = field(default_factory=list)  # a line for each film that could not be read


def pack(
    splits: Mapping[str, Sequence[ReadableFilm]],
    target: Path,
    shard_bytes: int = 256 << 20,
    quality: int = 95,
    progress: Callable[[str], None] = lambda name: None,
) -> Packed:
    """Pack films, each into one shard; those that are packed already are left as they are.

    Pictures are copied byte for byte; frames of films are encoded as JPEG with colour at full resolution. A shard
    appears only when whole, and when packing fails, films that were done before are kept.

    Args:
        splits: films by split; one may be in several.
        target: folder for the shards.
        shard_bytes: a shard is closed when it has so many.
        quality: of the JPEG frames of films, 1 to 100.
        progress: is told the name of each film that is done.

    Raises:
        UserError: two films have one name, or the shards cannot be written.
    """
    films = _by_name(splits)
    packed = Packed()
    try:
        target.mkdir(parents=True, exist_ok=True)
        there = {entry["name"]: (shard, entry) for shard, entry in _entries(target)}
        todo = [film for name, film in films.items() if name not in there]
        for shard, entry in _write_shards(todo, target, shard_bytes, quality, packed.problems):
            there[entry["name"]] = (shard, entry)
            packed.new += 1
            progress(entry["name"])
        if packed.new or not (target / INDEX).exists():
            _write_index(target, splits, there)
    except OSError as error:
        raise UserError(
            f"cannot write to {target}: {error.strerror or error}; the films packed so far are kept: run it again"
            " to go on"
        ) from error
    packed.films = sum(name in there for name in films)
    return packed


def _by_name(splits: Mapping[str, Sequence[ReadableFilm]]) -> dict[str, ReadableFilm]:
    films: dict[str, ReadableFilm] = {}
    for film in (film for of_split in splits.values() for film in of_split):
        other = films.setdefault(film.name, film)
        if getattr(other, "path", None) != getattr(film, "path", None):
            raise UserError(f"two films are called {film.name}: pack their sets into shards of their own")
    return films


def _write_shards(
    films: Sequence[ReadableFilm], target: Path, shard_bytes: int, quality: int, problems: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Write films into new shards; tell of each when it is in."""
    number = 1 + max((int(path.stem.rpartition("-")[2]) for path in target.glob("shard-*.tar")), default=-1)
    shard: _Shard | None = None
    try:
        for film in films:
            shard = shard or _Shard(target / f"shard-{number:05}.tar")
            try:
                entry = shard.add(film, quality)
            except UserError as error:
                problems.append(f"{film.name}: {error}")
                continue
            yield shard.path.name, entry
            if shard.size >= shard_bytes:
                shard.finish()
                shard, number = None, number + 1
    finally:
        if shard is not None:
            shard.finish()


class _Shard:
    """A tar file in the making."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._entries: list[dict[str, Any]] = []
        self._part = Path(f"{path}.part")
        self._file = FileIO(self._part, "w")  # unbuffered: after a failure nothing of it is left to be written

    def add(self, film: ReadableFilm, quality: int) -> dict[str, Any]:
        """Append a film; nothing of it stays if it cannot be read or written to its end."""
        places = []
        done = False
        try:
            for index, (suffix, data) in enumerate(_pictures(film, quality)):
                info = tarfile.TarInfo(f"{film.name}/{index:05}{suffix}")
                info.size = len(data)
                header = info.tobuf(tarfile.PAX_FORMAT)
                places.append((self.size + len(header), len(data)))
                self._write(header + data + bytes(-len(data) % _BLOCK))
            entry = {"name": film.name, "size": list(film.size), "frames": len(places), "places": places}
            done = True
        finally:
            if not done:
                self.size = self._end_of_last()
                self._file.seek(self.size)
                self._file.truncate()
        self._entries.append(entry)
        return entry

    def finish(self) -> None:
        """Put the shard in its place, and its table beside it: first the table, as a shard without one is no use."""
        if not self._entries:
            self._file.close()
            self._part.unlink()
            return
        write_json(self.path.with_name(table_of(self.path.name)), {"films": self._entries})
        self._write(bytes(2 * _BLOCK))
        self._file.close()
        self._part.replace(self.path)

    def _end_of_last(self) -> int:
        if not self._entries:
            return 0
        first, length = self._entries[-1]["places"][-1]
        return first + length + -length % _BLOCK

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = self._file.write(rest)
            self.size += written
            rest = rest[written:]


def _pictures(film: ReadableFilm, quality: int) -> Iterator[tuple[str, bytes]]:
    """A film's frames as files: suffix and content."""
    from flowchroma.film.image_files import encode_jpeg

    if files := getattr(film, "files", ()):
        for index, file in enumerate(files):
            film.read([index])  # refuses what is damaged
            yield file.suffix.lower(), file.read_bytes()
    elif isinstance(film, ShardFilm):
        for data in film.encoded():
            yield ".jpg", data
    else:
        for frame in film:
            yield ".jpg", encode_jpeg(frame, quality)


def _entries(target: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for shard in sorted(target.glob("shard-*.tar")):
        table = shard.with_name(table_of(shard.name))
        try:
            films = json.loads(table.read_text())["films"]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"the table {table} of {shard.name} cannot be read: remove both, and pack again") from error
        yield from ((shard.name, film) for film in films)


def _write_index(
    target: Path, splits: Mapping[str, Sequence[ReadableFilm]], there: Mapping[str, tuple[str, dict[str, Any]]]
) -> None:
    of: dict[str, list[str]] = {}
    for split, films in splits.items():
        for film in films:
            of.setdefault(film.name, []).append(split)
    listed = [
        {"name": name, "splits": of[name], "shard": shard, "size": entry["size"], "frames": entry["frames"]}
        for name, (shard, entry) in sorted(there.items())
        if name in of
    ]
    write_json(target / INDEX, {"version": VERSION, "films": listed})
