"""Films packed into shards, read by byte ranges from a disk or an object store.

A shard is a plain tar file of pictures. `index.json` lists the films and their lengths; a table beside each shard gives
the byte range of each frame. A clip fetches the bytes of its frames and no others, so any worker of any rank can read
any clip, in the order that the sampler gives.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from flowchroma.data.sources.byte_ranges import SHARD_INDEX, ByteRangeReader, parse_shard_index
from flowchroma.data.sources.source import FolderSource, existing_root
from flowchroma.errors import UserError
from flowchroma.film.film import check_indices

_AT_ONCE = 32  # frames that are fetched together when a film is read through


@dataclass(frozen=True)
class Shards(FolderSource):
    """Films that `python -m flowchroma.prepare ... pack=FOLDER` wrote.

    Args:
        root: the folder of shards, or its address in an object store, such as s3://bucket/folder.
        cache: folder on each node to which a shard is copied whole when a frame of it is first needed; None reads what
            is needed from the original place.
        clips_per_film: clips that an epoch takes from each film.
        weight: share of this source among several.
    """

    root: str | Path | None
    cache: str | Path | None = None
    clips_per_film: int = 4
    weight: float = 1.0

    def films(self, split: str) -> list["ShardFilm"]:
        """List the films of a split, which was fixed when they were packed; a `UserError` where there are none."""
        if self.root is None or "://" not in str(self.root):
            existing_root(self.root, "shards")
        reader = ByteRangeReader(str(self.root), None if self.cache is None else str(self.cache))
        index = parse_shard_index(reader.read_file(SHARD_INDEX), f"{self.root}/{SHARD_INDEX}")
        films = [
            ShardFilm(film["name"], (film["size"][0], film["size"][1]), film["frames"], film["shard"], reader)
            for film in index
            if split in film["splits"]
        ]
        if not films:
            raise UserError(f"of the {len(index)} films in the shards under {self.root} none is for {split}")
        return films


@dataclass(frozen=True)
class ShardFilm:
    """A film in a shard; its name, size and length come from the index."""

    name: str
    size: tuple[int, int]
    frames: int
    shard: str
    reader: ByteRangeReader
    path: ClassVar[None] = None
    files: ClassVar[Sequence[Path]] = ()

    def __len__(self) -> int:
        return self.frames

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `flowchroma.film.Film.read`."""
        from flowchroma.film.image_files import decode_image, largest_reduction

        check_indices(self.name, indices, len(self))
        reduction = largest_reduction(self.size, at_least)
        places = self.reader.read_table(self.shard)[self.name]
        wanted = sorted(set(indices))
        pieces = self.reader.read_ranges(self.shard, [places[index] for index in wanted])
        frames = {
            index: decode_image(piece, f"{index} of {self.name} in {self.shard}", reduction)
            for index, piece in zip(wanted, pieces, strict=True)
        }
        return [frames[index] for index in indices]

    def encoded(self) -> Iterator[bytes]:
        """Yield the encoded pictures of all frames."""
        places = self.reader.read_table(self.shard)[self.name]
        for start in range(0, len(self), _AT_ONCE):
            yield from self.reader.read_ranges(self.shard, places[start : start + _AT_ONCE])

    def __iter__(self) -> Iterator[np.ndarray]:
        """See `flowchroma.film.Film.__iter__`."""
        return (self.read([index])[0] for index in range(len(self)))
