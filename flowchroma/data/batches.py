"""From clips to batches, and to what networks see."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from flowchroma.color import rgb_to_lab
from flowchroma.errors import UserError
from flowchroma.types import Clip, RawClip

_TENSORS = ("rgb", "references", "flow", "visible", "has_flow", "starts_coloured", "own_colours")


def collate(items: Sequence[RawClip | UserError]) -> RawClip | UserError:
    """Stack clips; an item that could not be made makes the batch that error."""
    clips = []
    for item in items:
        if isinstance(item, UserError):
            return item
        clips.append(item)
    return RawClip(
        **{name: torch.stack([getattr(clip, name) for clip in clips]) for name in _TENSORS},
        names=tuple(name for clip in clips for name in clip.names),
        skipped=tuple(film for clip in clips for film in clip.skipped),
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
    """Convert a batch's colours to CIELAB, on the device that holds it."""
    return Clip(
        lab=rgb_to_lab(raw.rgb),
        references=rgb_to_lab(raw.references),
        flow=raw.flow,
        visible=raw.visible.float(),
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
