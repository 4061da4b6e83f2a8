"""Packing films into the shards that `Shards` reads."""

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from flowchroma.data.sources.byte_ranges import SHARD_INDEX, SHARD_VERSION, table_name
from flowchroma.data.sources.film_index import write_json
from flowchroma.data.sources.shards import ShardFilm
from flowchroma.errors import UserError
from flowchroma.film.film import Film

_BLOCK = 512  # bytes, of the tar format


@dataclass
class PackingResult:
    """How many films were packed, and what could not be."""

    films: int = 0  # in the shards now
    new: int = 0  # of these, packed by this call
    problems: list[str] = field(default_factory=list)  # a line for each film that could not be read


def pack(
    splits: Mapping[str, Sequence[Film]],
    target: Path,
    shard_bytes: int = 256 << 20,
    quality: int = 95,
    progress: Callable[[str], None] = lambda name: None,
) -> PackingResult:
    """Pack films, several to a shard; those that are packed already are left as they are.

    Pictures are copied byte for byte; frames of video files are encoded as JPEG without chroma subsampling. A shard
    appears when it is complete, and when packing fails, films that are in complete shards are kept.

    Args:
        splits: films by split; a film may be in several.
        target: folder for the shards.
        shard_bytes: a shard is completed once it has so many bytes.
        quality: of the JPEG frames of films, 1 to 100.
        progress: called with the name of each film that is done.

    Raises:
        UserError: two films have the same name, or the shards cannot be written.
    """
    films, packed = _by_name(splits), PackingResult()
    try:
        target.mkdir(parents=True, exist_ok=True)
        present = {entry["name"]: (shard, entry) for shard, entry in _entries(target)}
        todo = [film for name, film in films.items() if name not in present]
        for shard, entry in _write_shards(todo, target, shard_bytes, quality, packed.problems):
            present[entry["name"]] = (shard, entry)
            packed.new += 1
            progress(entry["name"])
        if packed.new or not (target / SHARD_INDEX).exists():
            _write_shard_index(target, splits, present)
    except OSError as error:
        raise UserError(
            f"cannot write to {target}: {error.strerror or error}; the films packed so far are kept: run it again"
            " to go on"
        ) from error
    packed.films = sum(name in present for name in films)
    return packed


def _by_name(splits: Mapping[str, Sequence[Film]]) -> dict[str, Film]:
    films: dict[str, Film] = {}
    for film in (film for of_split in splits.values() for film in of_split):
        if films.setdefault(film.name, film).path != film.path:
            raise UserError(f"two films are called {film.name}: pack their sets into shards of their own")
    return films


def _write_shards(
    films: Sequence[Film], target: Path, shard_bytes: int, quality: int, problems: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Write films into new shards; yield the shard's name and the film's entry for each film written."""
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
    """A tar file that is being written."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._entries: list[dict[str, Any]] = []
        self._part = Path(f"{path}.part")
        self._file = FileIO(self._part, "w")  # unbuffered, so that nothing is left to be written after a failure

    def add(self, film: Film, quality: int) -> dict[str, Any]:
        """Append a film; if it cannot be read or written completely, the file is truncated to what it was."""
        start, places = self.size, []
        try:
            for index, (suffix, data) in enumerate(_pictures(film, quality)):
                info = tarfile.TarInfo(f"{film.name}/{index:05}{suffix}")
                info.size = len(data)
                header = info.tobuf(tarfile.PAX_FORMAT)
                places.append((self.size + len(header), len(data)))
                self._write(header + data + bytes(-len(data) % _BLOCK))
            entry = {"name": film.name, "size": list(film.size), "frames": len(places), "places": places}
        except BaseException:
            self.size = start
            self._file.seek(start)
            self._file.truncate()
            raise
        self._entries.append(entry)
        return entry

    def finish(self) -> None:
        """Give the file its name, after its table, as a shard cannot be read without one."""
        if not self._entries:
            self._file.close()
            self._part.unlink()
            return
        write_json(self.path.with_name(table_name(self.path.name)), {"films": self._entries})
        self._write(bytes(2 * _BLOCK))
        self._file.close()
        self._part.replace(self.path)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = self._file.write(rest)
            self.size += written
            rest = rest[written:]


def _pictures(film: Film, quality: int) -> Iterator[tuple[str, bytes]]:
    """A film's frames as files: suffix and content."""
    from flowchroma.film.image_files import encode_jpeg

    if film.files:
        for index, file in enumerate(film.files):
            film.read([index])  # raises an error if it is damaged
            yield file.suffix.lower(), file.read_bytes()
    elif isinstance(film, ShardFilm):
        for data in film.encoded():
            yield ".jpg", data
    else:
        for frame in film:
            yield ".jpg", encode_jpeg(frame, quality)


def _entries(target: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for shard in sorted(target.glob("shard-*.tar")):
        table = shard.with_name(table_name(shard.name))
        try:
            films = json.loads(table.read_text())["films"]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"the table {table} of {shard.name} cannot be read: remove both, and pack again") from error
        yield from ((shard.name, film) for film in films)


def _write_shard_index(
    target: Path, splits: Mapping[str, Sequence[Film]], present: Mapping[str, tuple[str, dict[str, Any]]]
) -> None:
    splits_of: dict[str, list[str]] = {}
    for split, films in splits.items():
        for film in films:
            splits_of.setdefault(film.name, []).append(split)
    listed = [
        {"name": name, "splits": splits_of[name], "shard": shard, "size": entry["size"], "frames": entry["frames"]}
        for name, (shard, entry) in sorted(present.items())
        if name in splits_of
    ]
    write_json(target / SHARD_INDEX, {"version": SHARD_VERSION, "films": listed})
