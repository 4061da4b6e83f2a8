"""Where the frames of clips are laid: in the end, in memory that workers share with the main process and use again."""

import mmap
import os
import weakref
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from flowchroma.data.clips.raw import RawClip


@dataclass(frozen=True)
class Layout:
    """How many frames and references clips have, and their height and width."""

    length: int
    references: int
    size: tuple[int, int]

    def bytes_of(self, clips: int) -> int:
        """Count the bytes of so many clips."""
        return clips * (self.length + self.references) * self.size[0] * self.size[1] * 3

    def arrays(self, memory: NDArray[np.uint8], clips: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Lay clips in flat memory: (clips, T, H, W, 3) for their frames, (clips, R, H, W, 3) for their references."""
        shown, end = self._bounds(clips)
        return memory[:shown].reshape(clips, -1, *self.size, 3), memory[shown:end].reshape(clips, -1, *self.size, 3)

    def tensors(self, memory: Tensor, clips: int) -> tuple[Tensor, Tensor]:
        """The same as networks see it: (clips, T, 3, H, W) and (clips, R, 3, H, W), views of the memory."""
        shown, end = self._bounds(clips)
        parts = memory[:shown].view(clips, -1, *self.size, 3), memory[shown:end].view(clips, -1, *self.size, 3)
        return parts[0].movedim(-1, -3), parts[1].movedim(-1, -3)

    def _bounds(self, clips: int) -> tuple[int, int]:
        end = self.bytes_of(clips)
        return end // (self.length + self.references) * self.length, end


class Slots:
    """Pieces of memory that a process shares with those that it forks, each large enough for a batch.

    A worker lays a batch in a piece of its own that is free, and hands over which; the piece is free again as soon as
    the main process has let go of the last tensor in it. Fresh memory for every batch would cost both more than
    anything else that they do to a batch: each of its pages is cleared, and mapped twice.

    Processes that are started in another way than by fork find no piece free, and use torch's way.

    Args:
        count: pieces. Those that are never needed take no memory, and there is no file that holds them.
        size: bytes of each.
    """

    def __init__(self, count: int, size: int) -> None:
        self._name = uuid4().hex
        self._taken = np.frombuffer(mmap.mmap(-1, count), np.uint8)
        self._memory = np.frombuffer(mmap.mmap(-1, count * size), np.uint8).reshape(count, size)
        _known[self._name] = self

    def __getstate__(self) -> dict[str, Any]:
        """Memory is inherited, not sent."""
        return {"_name": self._name, "_taken": self._taken[:0].copy(), "_memory": self._memory[:0].copy()}

    def take(self) -> int | None:
        """Take a piece that is free, in a worker; None where there is none, and in the main process."""
        worker = get_worker_info()
        if worker is None:
            return None
        # The first that is free, so that no more of them come into being than are ever in use together.
        mine = range(worker.id, len(self._taken), worker.num_workers)
        slot = next((slot for slot in mine if not self._taken[slot]), None)
        if slot is not None:
            self._taken[slot] = 1
        return slot

    def give_back(self, slot: int) -> None:
        """Free a piece."""
        self._taken[slot] = 0

    def _let_go(self, slot: int, reader: int) -> None:
        # What a process forked meanwhile inherits of a batch is not its own to give back.
        if os.getpid() == reader:
            self.give_back(slot)

    def writable(self, slot: int) -> NDArray[np.uint8]:
        """A taken piece, flat, to be filled by the worker that took it."""
        return self._memory[slot]

    def readable(self, slot: int) -> Tensor:
        """A taken piece, flat, as long as anything refers to it; then it is given back."""
        # This very array lives as long as any view of the tensor, and can say when it goes.
        array = self._memory[slot]
        weakref.finalize(array, self._let_go, slot, os.getpid()).atexit = False
        return torch.from_numpy(array)


@dataclass(frozen=True)
class Lent:
    """A batch whose frames lie in a slot. It comes out of the queue between processes as the batch itself."""

    slots: Slots
    slot: int
    layout: Layout
    batch: RawClip

    def __reduce__(self) -> tuple[Any, ...]:
        """Hand over where the frames are, and the rest by value."""
        nothing = torch.empty(0)
        rest = replace(self.batch, rgb=nothing, references=nothing)
        return _receive, (self.slots._name, self.slot, self.layout, rest)


_known: "weakref.WeakValueDictionary[str, Slots]" = weakref.WeakValueDictionary()


def _receive(name: str, slot: int, layout: Layout, rest: RawClip) -> RawClip:
    rgb, references = layout.tensors(_known[name].readable(slot), len(rest.names))
    return replace(rest, rgb=rgb, references=references)
