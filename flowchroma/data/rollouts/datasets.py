"""Data sets of kept frames, each item a function of its key."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch.utils.data import Dataset

from flowchroma.data.clips.sampler import ClipKey
from flowchroma.data.rollouts.frames import KeptFrames
from flowchroma.data.rollouts.span_file import SpanFile
from flowchroma.errors import UserError

Item = KeptFrames | UserError


@dataclass(frozen=True)
class RolloutAugmentation:
    """How training frames vary.

    Args:
        flip: how often left and right are exchanged.
        swap: how often the directions are exchanged, where there are two.
        turn: degrees that all ab are turned by, at most, either way.
        scale: least and most factor of all ab.
    """

    flip: float = 0.5
    swap: float = 0.5
    turn: float = 180.0
    scale: Sequence[float] = (0.6, 1.5)

    def vary(self, frames: KeptFrames, rng: np.random.Generator) -> KeptFrames:
        """Draw how a frame varies, and change it so."""
        if rng.random() < self.flip:
            frames = frames.mirrored()
        if rng.random() < self.swap:
            frames = frames.reversed()
        angle, scale = math.radians(rng.uniform(-self.turn, self.turn)), rng.uniform(self.scale[0], self.scale[1])
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        return frames.recoloured(torch.tensor([[cos, -sin], [sin, cos]]))


class RolloutFrames(Dataset[Item]):
    """The frames of spans in batches; an error takes the place of one that cannot be read."""

    def __init__(self, spans: Sequence[SpanFile]) -> None:
        self.spans = spans
        self._ends = list(accumulate(map(len, spans)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, key: ClipKey) -> Item:
        try:
            return self.make(key)
        except UserError as error:
            return error

    def __getitems__(self, keys: Sequence[ClipKey]) -> Item:
        frames = []
        for item in map(self.__getitem__, keys):
            if isinstance(item, UserError):
                return item
            frames.append(item)
        return type(frames[0]).join(frames)

    def make(self, key: ClipKey) -> KeptFrames:
        """The frame of a key, (1, ...); a `UserError` where it cannot be read."""
        span, frame = self.place(key.index)
        return span.read(frame)

    def place(self, index: int) -> tuple[SpanFile, int]:
        """The span of a frame, and its number in it."""
        at = bisect_right(self._ends, index)
        return self.spans[at], index - (self._ends[at] - len(self.spans[at]))


class TrainingFrames(RolloutFrames):
    """Crops of every frame, drawn anew in each epoch.

    Args:
        spans: of the training films.
        size: height and width of a crop.
        augmentation: how they vary.
    """

    def __init__(self, spans: Sequence[SpanFile], size: tuple[int, int], augmentation: RolloutAugmentation) -> None:
        super().__init__(spans)
        self.size, self.augmentation = size, augmentation

    def make(self, key: ClipKey) -> KeptFrames:
        """See `RolloutFrames.make`."""
        span, frame = self.place(key.index)
        rng = np.random.default_rng((key.seed, key.index))
        rows, columns = (_draw(rng, whole, part) for whole, part in zip(span.size, self.size, strict=True))
        return self.augmentation.vary(span.read(frame, (rows, columns)), rng)


class ValidationFrames(RolloutFrames):
    """Whole frames, evenly spread over spans, at most so many."""

    def __init__(self, spans: Sequence[SpanFile], most: int) -> None:
        super().__init__(spans)
        every = super().__len__()
        self._chosen = np.linspace(0, every - 1, min(most, every)).round().astype(int).tolist()

    def __len__(self) -> int:
        return len(self._chosen)

    def place(self, index: int) -> tuple[SpanFile, int]:
        """See `RolloutFrames.place`."""
        return super().place(self._chosen[index])


def _draw(rng: np.random.Generator, whole: int, part: int) -> slice:
    first = int(rng.integers(whole - part + 1))
    return slice(first, first + part)
