"""Reading frames and flow of films, some of which may be damaged."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowchroma.data.clips.geometry import Crop, resize, resize_flow
from flowchroma.data.clips.raw import RawClip
from flowchroma.errors import UserError
from flowchroma.film.film import Film, HasExactFlow


@dataclass(frozen=True)
class ClipFlow:
    """Backward flow between the T frames of a clip; zeros, nothing visible, where it is not exact."""

    flow: Tensor  # (T - 1, 2, H, W), pixels
    visible: Tensor  # (T - 1, 1, H, W), bool
    exact: bool


def checked_length(film: Film, needed: int) -> int:
    """Count a film's frames; a `UserError` where it has fewer than needed, or cannot be read."""
    if len(film) < needed:
        raise UserError(f"it has {len(film)} frames, and clips need {needed}")
    return len(film)


def read_frames(
    film: Film, indices: Sequence[int], crop: Crop, into: Sequence[NDArray[np.uint8]], mirrored: bool = False
) -> None:
    """Read frames, and write each, cropped and resized by `resize`, into the array at its place in `into`.

    A `UserError` where one cannot be read, or their sizes differ.
    """
    height, width = crop.needs(into[0].shape[:2])
    frames = film.read(indices, at_least=(min(height, film.size[0]), min(width, film.size[1])))
    sizes = {frame.shape[:2] for frame in frames}
    if len(sizes) > 1:
        raise UserError(f"its frames have different sizes: {', '.join(f'{w} x {h}' for h, w in sorted(sizes))}")
    resize(frames, crop, into, mirrored)


def read_exact_flow(film: Film, indices: Sequence[int], crop: Crop, out: tuple[int, int]) -> ClipFlow:
    """Read the exact flow of consecutive frames, cropped and resized to `out` (height, width), where it is known."""
    if has_exact_flow(film):
        return ClipFlow(*resize_flow(*film.read_flow(indices[1:]), crop, out), exact=True)
    return _unknown_flow(len(indices) - 1, out)


def has_exact_flow(film: Film) -> TypeGuard[HasExactFlow]:
    """Whether a film's motion is known exactly, which its class says."""
    # Of classes Python remembers the answer; a protocol's members are looked up anew for every object.
    return issubclass(type(film), HasExactFlow)


@lru_cache(maxsize=8)
def _unknown_flow(pairs: int, out: tuple[int, int]) -> ClipFlow:
    # Views of a single zero take no memory: the flow of most clips is unknown.
    zero, hidden = torch.zeros(()), torch.zeros((), dtype=torch.bool)
    return ClipFlow(zero.expand(pairs, 2, *out), hidden.expand(pairs, 1, *out), exact=False)


def first_readable_clip(
    attempts: Iterable[tuple[Film, Callable[[], Generator[None, None, RawClip]]]], what: str, where: str
) -> Generator[None, None, RawClip | UserError]:
    """Make the first clip that can be made, by films, each with a function that makes a clip of it in steps.

    Returns:
        The clip, in whose `skipped` the films are that failed before. If all fail, the error, for the main process to
        raise: one raised in a worker would come out of the DataLoader wrapped in a traceback.
    """
    failed: dict[str, str] = {}
    for film, make in attempts:
        try:
            clip = yield from make()
        except UserError as error:
            failed.setdefault(film.name, str(error))
        else:
            skipped = tuple(f"{name}: {reason}" for name, reason in failed.items())
            return replace(clip, skipped=(*skipped, *clip.skipped)) if skipped else clip
    yield  # whoever makes a batch waits for this once, also where nothing could be opened
    example = next(f"{name}: {reason}" for name, reason in failed.items())
    return UserError(f"no {what} could be read from {where}: tried {len(failed)} films, the first being {example}")
