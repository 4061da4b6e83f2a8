"""Which clips an epoch visits, in what order, on which rank."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import Sampler

from flowchroma import processes
from flowchroma.errors import UserError


@dataclass(frozen=True, slots=True)
class ClipKey:
    """What a clip is a function of: its index in the epoch, and the epoch's seed."""

    index: int
    seed: int


class ClipSampler(Sampler[ClipKey]):
    """Gives each rank its share of an epoch's clips.

    Training shuffles by `seed + epoch` and drops the clips that are left over, so that all ranks have the same number.
    Validation keeps the order, and drops and repeats nothing: numbers may differ by one.

    Args:
        length: clips in an epoch, over all ranks; in training at least as many as processes.
        seed: what the order is drawn from, with the epoch.
        train: shuffle, and drop what is left over.
        rank: this process; asked of torch.distributed when not given.
        world_size: how many processes there are; likewise.
    """

    def __init__(
        self, length: int, seed: int = 0, train: bool = True, rank: int | None = None, world_size: int | None = None
    ) -> None:
        self.length, self.seed, self.train, self.epoch = length, seed, train, 0
        self._skipped = 0
        self.world_size = processes.world_size() if world_size is None else world_size
        together = rank is None and processes.world_size() > 1
        self.rank = torch.distributed.get_rank() if together else rank or 0
        if train and length < self.world_size:
            raise UserError(f"{length} clips an epoch cannot be shared by {self.world_size} processes: use fewer")

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def skip(self, clips: int) -> None:
        """Leave the epoch's first clips, counted over all ranks, out of the next iteration alone.

        `len` stays that of the whole epoch, as a trainer that resumes within an epoch counts from its beginning.
        """
        self._skipped = clips

    def __len__(self) -> int:
        if self.train:
            return self.length // self.world_size
        return len(range(self.rank, self.length, self.world_size))

    def __iter__(self) -> Iterator[ClipKey]:
        if not self.train:
            return iter([ClipKey(index, self.seed) for index in range(self.rank, self.length, self.world_size)])
        seed = self.seed + self.epoch
        order = torch.randperm(self.length, generator=torch.Generator().manual_seed(seed)).tolist()
        # A multiple of the ranks, so that the same number is left for each.
        done, self._skipped = self._skipped // self.world_size * self.world_size, 0
        kept = order[done : len(self) * self.world_size]
        return iter([ClipKey(index, seed) for index in kept[self.rank :: self.world_size]])
