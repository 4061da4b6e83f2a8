"""Memory that frames are decoded into: shared by workers and the main process, and used again for later batches."""

import mmap
import os
import weakref
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from flowchroma.data.clips.raw import RawClip


@dataclass(frozen=True)
class ClipLayout:
    """How a batch's frames, and after them its references, lie in flat memory."""

    length: int  # T
    references: int  # R
    size: tuple[int, int]  # H, W

    def bytes_of(self, clips: int) -> int:
        """Count the bytes of so many clips."""
        return clips * (self.length + self.references) * self.size[0] * self.size[1] * 3

    def arrays(self, memory: Any, clips: int) -> tuple[Any, Any]:
        """View flat memory, an array or a tensor, as (clips, T, H, W, 3) frames and (clips, R, H, W, 3) references."""
        end = self.bytes_of(clips)
        middle = end // (self.length + self.references) * self.length
        return memory[:middle].reshape(clips, -1, *self.size, 3), memory[middle:end].reshape(clips, -1, *self.size, 3)

    def tensors(self, memory: Tensor, clips: int) -> tuple[Tensor, Tensor]:
        """View flat memory as (clips, T, 3, H, W) frames and (clips, R, 3, H, W) references."""
        frames, references = self.arrays(memory, clips)
        return frames.movedim(-1, -3), references.movedim(-1, -3)


class SharedBuffers:
    """A fixed number of buffers that a process shares with the workers it forks, each large enough for a batch.

    A worker fills a free buffer and sends its number; the buffer is free again as soon as the main process holds no
    tensor in it any more. New memory for every batch would cost more than all else that is done to a batch, since each
    of its pages is cleared once and mapped twice.

    Workers that are started in another way than by fork get no buffer, and send batches as torch does.

    Args:
        count: buffers; those never used take no memory.
        size: bytes of each.
    """

    def __init__(self, count: int, size: int) -> None:
        self._name = uuid4().hex
        self._taken = np.frombuffer(mmap.mmap(-1, count), np.uint8)
        self._memory = np.frombuffer(mmap.mmap(-1, count * size), np.uint8).reshape(count, size)
        _buffers_by_name[self._name] = self

    def __getstate__(self) -> dict[str, Any]:
        """Without the memory: it is inherited by fork, and cannot be sent."""
        return {"_name": self._name, "_taken": self._taken[:0].copy(), "_memory": self._memory[:0].copy()}

    def acquire(self) -> int | None:
        """Take a free buffer, in a worker; None where there is none, and in the main process."""
        worker = get_worker_info()
        if worker is None:
            return None
        # The first free one, so that no more memory is used than batches exist at once.
        own = range(worker.id, len(self._taken), worker.num_workers)
        number = next((number for number in own if not self._taken[number]), None)
        if number is not None:
            self._taken[number] = 1
        return number

    def release(self, number: int) -> None:
        """Make a buffer free again."""
        self._taken[number] = 0

    def _release_in(self, process: int, number: int) -> None:
        # A process forked meanwhile inherits references to the batch; their end must not free the buffer.
        if os.getpid() == process:
            self.release(number)

    def writable(self, number: int) -> NDArray[np.uint8]:
        """A buffer, flat, for the worker that took it."""
        return self._memory[number]

    def readable(self, number: int) -> Tensor:
        """A buffer, flat; it is released when nothing refers to the tensor or a view of it any more."""
        # This array object lives as long as any view of the tensor.
        array = self._memory[number]
        weakref.finalize(array, self._release_in, os.getpid(), number).atexit = False
        return torch.from_numpy(array)


@dataclass(frozen=True)
class BufferedBatch:
    """A batch whose frames lie in a shared buffer; unpickling it gives the `RawClip` itself."""

    buffers: SharedBuffers
    number: int
    layout: ClipLayout
    batch: RawClip

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the number of the buffer instead of the frames, and the rest by value."""
        rest = self.batch.__getstate__()
        del rest["rgb"], rest["references"]
        layout = self.layout.length, self.layout.references, self.layout.size
        return _rebuild_batch, (self.buffers._name, self.number, layout, rest)


_buffers_by_name: "weakref.WeakValueDictionary[str, SharedBuffers]" = weakref.WeakValueDictionary()


def _rebuild_batch(name: str, number: int, layout: tuple[int, int, tuple[int, int]], rest: dict[str, Any]) -> RawClip:
    memory = _buffers_by_name[name].readable(number)
    rgb, references = ClipLayout(*layout).tensors(memory, len(rest["names"]))
    batch = RawClip.__new__(RawClip)
    batch.__setstate__(rest | {"rgb": rgb, "references": references})
    return batch
