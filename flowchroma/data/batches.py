"""From clips to batches, and to what networks see."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from flowchroma.color import rgb_to_lab
from flowchroma.data.augmentation import vary
from flowchroma.errors import UserError
from flowchroma.types import Clip, Looks, RawClip

_TENSORS = ("rgb", "references", "has_flow", "starts_coloured", "own_colours")


def collate(items: Sequence[RawClip | UserError]) -> RawClip | UserError:
    """Stack clips; an item that could not be made makes the batch that error."""
    clips = []
    for item in items:
        if isinstance(item, UserError):
            return item
        clips.append(item)
    known = any(clip.has_flow for clip in clips)
    return RawClip(
        **{name: _stack([getattr(clip, name) for clip in clips]) for name in _TENSORS},
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
        _stack([look.colour for look in given]),
        [look.blur for look in given],
        [look.grain for look in given],
        [look.seed for look in given],
    )


class ClipLoader(DataLoader[Any]):
    """A DataLoader that raises, in the main process, the errors that workers hand over."""

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
