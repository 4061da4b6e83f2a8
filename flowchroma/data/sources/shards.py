"""Films packed into shards, read by byte ranges from a disk or an object store.

A shard is a plain tar file of pictures. `index.json` says which films there are and how long; beside each shard lies a
table of where in it each frame is. A clip fetches the bytes of its frames and no others, so any worker of any rank can
read any clip, in the order that the sampler gives: nothing has to be known of what was read before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flowchroma.data.sources.byte_ranges import INDEX, Store, parse_index
from flowchroma.data.sources.source import existing_root
from flowchroma.errors import UserError

_AT_ONCE = 32  # frames that are fetched together when a film is read through


@dataclass(frozen=True)
class Shards:
    """Films that `python -m flowchroma.prepare ... pack=FOLDER` wrote.

    Args:
        root: the folder of shards, or its address in an object store, such as s3://bucket/folder.
        cache: folder on each node to which a shard is copied whole when a frame of it is first needed; None reads what
            clips need from where it is.
        clips_per_film: clips that an epoch takes from each film.
        weight: share of this source among several.
    """

    root: str | Path | None
    cache: str | Path | None = None
    clips_per_film: int = 4
    weight: float = 1.0

    @property
    def where(self) -> str:
        """Where the data come from, for messages."""
        return str(self.root)

    def epoch_length(self, films: int) -> int:
        """Tell how many clips an epoch takes from this source."""
        return films * self.clips_per_film

    def films(self, split: str) -> list["ShardFilm"]:
        """List the films of a split, as they were parted when they were packed.

        Raises:
            UserError: there are no shards, or no film in them is of the split.
        """
        if self.root is None or "://" not in str(self.root):
            existing_root(self.root, "shards")
        store = Store(str(self.root), None if self.cache is None else str(self.cache))
        index = parse_index(store.whole(INDEX), f"{self.root}/{INDEX}")
        films = [
            ShardFilm(film["name"], (film["size"][0], film["size"][1]), film["frames"], film["shard"], store)
            for film in index
            if split in film["splits"]
        ]
        if not films:
            raise UserError(f"of the {len(index)} films in the shards under {self.root} none is for {split}")
        return films


@dataclass(frozen=True)
class ShardFilm:
    """A film in a shard: all but its pixels is known without reading it."""

    name: str
    size: tuple[int, int]
    frames: int
    shard: str
    store: Store

    def __len__(self) -> int:
        return self.frames

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `flowchroma.film.Film.read`."""
        from flowchroma.film.film import check_indices
        from flowchroma.film.image_files import decode_image, largest_reduction

        check_indices(self.name, indices, len(self))
        reduction = largest_reduction(self.size, at_least)
        places = self.store.table(self.shard)[self.name]
        wanted = sorted(set(indices))
        pieces = self.store.pieces(self.shard, [places[index] for index in wanted])
        frames = {
            index: decode_image(piece, f"{index} of {self.name} in {self.shard}", reduction)
            for index, piece in zip(wanted, pieces, strict=True)
        }
        return [frames[index] for index in indices]

    def encoded(self) -> Iterator[bytes]:
        """The frames' files."""
        places = self.store.table(self.shard)[self.name]
        for start in range(0, len(self), _AT_ONCE):
            yield from self.store.pieces(self.shard, places[start : start + _AT_ONCE])

    def __iter__(self) -> Iterator[np.ndarray]:
        """See `flowchroma.film.Film.__iter__`."""
        return (self.read([index])[0] for index in range(len(self)))
