"""From clips to batches, and from batches of 8-bit RGB to CIELAB."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from flowchroma.color import rgb_to_lab
from flowchroma.data.clips.augmentation import apply_variation
from flowchroma.data.clips.buffers import BufferedBatch, SharedBuffers
from flowchroma.data.clips.datasets import ClipDataset, finish
from flowchroma.data.clips.raw import ClipVariation, RawClip
from flowchroma.data.clips.sampler import ClipKey, ClipSampler
from flowchroma.errors import UserError
from flowchroma.types import Clip

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class BatchedClips(Dataset[RawClip | UserError]):
    """Whole batches of a data set's clips, each decoded straight into the batch's memory.

    Args:
        clips: the data set.
        buffers: memory shared with the main process; None where there are no workers.
    """

    def __init__(self, clips: ClipDataset, buffers: SharedBuffers | None = None) -> None:
        self.clips, self.buffers = clips, buffers

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: ClipKey) -> RawClip | UserError:
        return self.clips[key]

    def __getitems__(self, keys: Sequence[ClipKey]) -> RawClip | BufferedBatch | UserError:
        number = None if self.buffers is None else self.buffers.acquire()
        if self.buffers is None or number is None:
            # Tensors that share memory do not reliably survive torch's way from a worker: each has its own.
            return collate([self.clips[key] for key in keys])
        batch: RawClip | UserError | None = None
        try:
            batch = self._fill(keys, self.buffers.writable(number))
            return (
                BufferedBatch(self.buffers, number, self.clips.layout, batch) if isinstance(batch, RawClip) else batch
            )
        finally:
            if not isinstance(batch, RawClip):
                self.buffers.release(number)

    def _fill(self, keys: Sequence[ClipKey], memory: NDArray[np.uint8]) -> RawClip | UserError:
        layout = self.clips.layout
        parts = zip(keys, *layout.arrays(memory, len(keys)), strict=True)
        making = [self.clips.make(key, frames, references) for key, frames, references in parts]
        for clip in making:
            next(clip)
        return collate([finish(clip) for clip in making], layout.tensors(torch.from_numpy(memory), len(keys)))


def collate(items: Sequence[RawClip | UserError], frames: tuple[Tensor, Tensor] | None = None) -> RawClip | UserError:
    """Stack clips to a batch, their frames and references where not stacked already; an error takes its place."""
    clips = []
    for item in items:
        if isinstance(item, UserError):
            return item
        clips.append(item)
    known = any(clip.has_flow for clip in clips)
    rgb, references = frames or (_stack([clip.rgb for clip in clips]), _stack([clip.references for clip in clips]))
    return RawClip(
        rgb=rgb,
        references=references,
        has_flow=torch.stack([clip.has_flow for clip in clips]),
        starts_coloured=torch.stack([clip.starts_coloured for clip in clips]),
        own_colours=torch.stack([clip.own_colours for clip in clips]),
        flow=_stack([clip.flow for clip in clips]) if known else None,
        visible=_stack([clip.visible for clip in clips]) if known else None,
        variation=_collate_variations([clip.variation for clip in clips]),
        names=tuple(name for clip in clips for name in clip.names),
        skipped=tuple(film for clip in clips for film in clip.skipped),
    )


def _stack(tensors: Sequence[Tensor | None]) -> Tensor:
    return default_collate(list(tensors))  # in a worker, straight into memory that processes share


def _collate_variations(variations: Sequence[ClipVariation | None]) -> ClipVariation | None:
    drawn = [variation for variation in variations if variation is not None]
    if not drawn:
        return None
    columns: dict[str, Any] = {f.name: [getattr(item, f.name) for item in drawn] for f in fields(ClipVariation)}
    return ClipVariation(**columns | {"colour": torch.stack(columns["colour"])})


def identity(batch: Any) -> Any:
    """The collate function for a data set whose items are batches already."""
    return batch


class ClipLoader(DataLoader[Any]):
    """A DataLoader of `BatchedClips` that raises, in the main process, the `UserError` that a worker returns."""

    def __iter__(self) -> Iterator[RawClip]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, UserError):
                break
            yield batch
        else:
            return
        # The traceback would keep the iterator, and with it the workers, alive until a timeout.
        self._iterator = None
        raise batch


def make_loader(
    batches: Dataset[Any], sampler: ClipSampler, batch_size: int, num_workers: int, seed: int
) -> ClipLoader:
    """A loader of a data set that makes whole batches, from the keys of a sampler."""
    return ClipLoader(
        batches,
        batch_size=batch_size,
        sampler=sampler,
        # Else the loader would draw its workers' seeds from the global generator, and change all that follows.
        generator=torch.Generator().manual_seed(seed),
        num_workers=num_workers,
        collate_fn=identity,
        worker_init_fn=start_worker,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
    )


def to_clip(raw: RawClip) -> Clip:
    """Augment a batch and convert it to CIELAB, on the device that holds it."""
    rgb, references = raw.rgb, raw.references
    if raw.variation is not None:
        frames = apply_variation(torch.cat((rgb, references), dim=1), raw.variation)
        rgb, references = frames[:, : rgb.shape[1]], frames[:, rgb.shape[1] :]
        # Each frame has grain of its own, but where frame 0 is the reference both are the same picture.
        same = raw.starts_coloured.view(-1, 1, 1, 1)
        references[:, 0] = torch.where(same, rgb[:, 0], references[:, 0])
    lab = rgb_to_lab(rgb)
    batch, length, _, *size = lab.shape
    return Clip(
        lab=lab,
        references=rgb_to_lab(references),
        flow=lab.new_zeros(batch, length - 1, 2, *size) if raw.flow is None else raw.flow,
        visible=lab.new_zeros(batch, length - 1, 1, *size) if raw.visible is None else raw.visible.float(),
        has_flow=raw.has_flow,
        starts_coloured=raw.starts_coloured,
        own_colours=raw.own_colours,
        names=raw.names,
    )


def start_worker(worker: int) -> None:
    """Set a worker up: one thread, as workers run in parallel already, and no reaction to signals sent to the job."""
    _end_with_parent()
    _ignore_signals()
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:  # nothing here needs it
        return
    cv2.setNumThreads(0)


def _end_with_parent() -> None:
    """Have Linux kill this worker when its parent dies, also where that happened before this was asked for.

    Torch's own watchdog compares the parent with the one that it found at its start, which is process 1 by then.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)


def _ignore_signals() -> None:
    """Let only the main process end this worker.

    Clusters and terminals signal every process of a job, and the main one may need more clips before it saves and ends.
    """
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_parents_signal, daemon=True).start()


def _exit_on_parents_signal() -> None:
    parent = os.getppid()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid not in (parent, 0):
        pass
    os._exit(0)
