"""From clips to batches, and to what networks see."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from flowchroma.color import rgb_to_lab
from flowchroma.data.clips.augmentation import vary
from flowchroma.data.clips.buffers import Lent, Slots
from flowchroma.data.clips.datasets import Clips
from flowchroma.data.clips.raw import Looks, RawClip
from flowchroma.data.clips.sampler import ClipKey
from flowchroma.errors import UserError
from flowchroma.types import Clip

_SMALL = ("has_flow", "starts_coloured", "own_colours")


class Batches(Dataset[RawClip | UserError]):
    """Clips as a `ClipLoader` asks for them: many at once, laid beside each other as they are read.

    Args:
        clips: where they come from.
        slots: memory that processes share, where there are several.
    """

    def __init__(self, clips: Clips, slots: Slots | None = None) -> None:
        self.clips, self.slots = clips, slots

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: ClipKey) -> RawClip | UserError:
        return self.clips[key]

    def __getitems__(self, keys: Sequence[ClipKey]) -> RawClip | Lent | UserError:
        slot = None if self.slots is None else self.slots.take()
        if self.slots is None or slot is None:
            # Tensors that share memory do not reliably survive torch's way from a worker: each has its own.
            return collate([self.clips[key] for key in keys])
        made: RawClip | UserError | None = None
        try:
            made = self._fill(keys, self.slots.writable(slot))
            return Lent(self.slots, slot, self.clips.layout, made) if isinstance(made, RawClip) else made
        finally:
            if not isinstance(made, RawClip):
                self.slots.give_back(slot)

    def _fill(self, keys: Sequence[ClipKey], memory: NDArray[np.uint8]) -> RawClip | UserError:
        layout = self.clips.layout
        places = zip(keys, *layout.arrays(memory, len(keys)), strict=True)
        items = [self.clips.make(key, shown, references) for key, shown, references in places]
        return collate(items, layout.tensors(torch.from_numpy(memory), len(keys)))


def collate(items: Sequence[RawClip | UserError], frames: tuple[Tensor, Tensor] | None = None) -> RawClip | UserError:
    """Put clips together; an item that could not be made makes the batch that error.

    Args:
        items: the clips.
        frames: their frames and their references, where they lie beside each other already.
    """
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
        **{name: torch.stack([getattr(clip, name) for clip in clips]) for name in _SMALL},
        flow=_stack([clip.flow for clip in clips]) if known else None,
        visible=_stack([clip.visible for clip in clips]) if known else None,
        looks=_collate_looks([clip.looks for clip in clips]),
        names=tuple(name for clip in clips for name in clip.names),
        skipped=tuple(film for clip in clips for film in clip.skipped),
    )


def _stack(tensors: Sequence[Tensor | None]) -> Tensor:
    stacked: Tensor = default_collate(list(tensors))  # in a worker, straight into memory that processes share
    return stacked


def _collate_looks(looks: Sequence[Looks | None]) -> Looks | None:
    given = [look for look in looks if look is not None]
    if not given:
        return None
    return Looks(
        torch.stack([look.colour for look in given]),
        [look.blur for look in given],
        [look.grain for look in given],
        [look.warp for look in given],
        [look.seed for look in given],
    )


def unchanged(batch: Any) -> Any:
    """Collate what is a batch already."""
    return batch


class ClipLoader(DataLoader[Any]):
    """A DataLoader of `Batches` that raises, in the main process, the errors that workers hand over."""

    def __iter__(self) -> Iterator[RawClip]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, UserError):
                break
            yield batch
        else:
            return
        # Workers that hang on the error's traceback would only stop after a timeout.
        self._iterator = None
        raise batch


def to_clip(raw: RawClip) -> Clip:
    """Give a batch its looks, and convert its colours to CIELAB, on the device that holds it."""
    rgb, references = raw.rgb, raw.references
    if raw.looks is not None:
        frames = vary(torch.cat((rgb, references), dim=1), raw.looks)
        rgb, references = frames[:, : rgb.shape[1]], frames[:, rgb.shape[1] :]
        # Grain is another on each frame, but here reference and frame are the same one.
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
    """Keep each worker to one thread, as they run side by side already, and to its work until it is told to end."""
    _outlive_signals()
    torch.set_num_threads(1)
    try:
        import cv2
    except ImportError:  # nothing here needs it
        return
    cv2.setNumThreads(0)


def _outlive_signals() -> None:
    """Leave it to the main process to end this one.

    Clusters and terminals signal every process of a job; the main one may still need clips to come to a good end.
    """
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = os.getppid()
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid not in (parent, 0):
        pass
    os._exit(0)
