"""Reading films that may be bad."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowchroma.data.clips.geometry import Crop, resize, resize_flow
from flowchroma.data.clips.raw import RawClip
from flowchroma.data.sources.source import ReadableFilm
from flowchroma.errors import UserError


@dataclass(frozen=True)
class Motion:
    """What is known of the motion in a clip of T frames."""

    flow: Tensor  # (T - 1, 2, H, W), pixels
    visible: Tensor  # (T - 1, 1, H, W), bool
    exact: bool


def knows_flow(film: ReadableFilm) -> bool:
    """Tell whether a film gives exact flow."""
    return hasattr(film, "read_flow")


def checked_length(film: ReadableFilm, needed: int) -> int:
    """Count a film's frames.

    Raises:
        UserError: it has fewer than needed, or cannot be read.
    """
    if len(film) < needed:
        raise UserError(f"it has {len(film)} frames, and clips need {needed}")
    return len(film)


def read_frames(
    film: ReadableFilm,
    indices: Sequence[int],
    crop: Crop,
    into: Sequence[NDArray[np.uint8]],
    mirrored: bool = False,
) -> None:
    """Read frames, cut and scaled to what they are written into: as many as indices; see `resize`.

    Raises:
        UserError: a frame cannot be read, or its size is not that of the others.
    """
    height, width = crop.needs(into[0].shape[:2])
    frames = film.read(indices, at_least=(min(height, film.size[0]), min(width, film.size[1])))
    sizes = {frame.shape[:2] for frame in frames}
    if len(sizes) > 1:
        raise UserError(f"its frames have different sizes: {', '.join(f'{w} x {h}' for h, w in sorted(sizes))}")
    resize(frames, crop, into, mirrored)


def read_motion(film: ReadableFilm, indices: Sequence[int], crop: Crop, out: tuple[int, int]) -> Motion:
    """Read the exact flow of consecutive frames, cut and scaled as they are; zeros, all hidden, where it is unknown."""
    if knows_flow(film):
        flow, visible = film.read_flow(indices[1:])  # type: ignore[attr-defined]
        return Motion(*resize_flow(flow, visible, crop, out), exact=True)
    return _no_motion(len(indices) - 1, out)


@lru_cache(maxsize=8)
def _no_motion(pairs: int, out: tuple[int, int]) -> Motion:
    # Views of a single zero: most clips of real films say nothing, and need no memory to say it.
    still, hidden = torch.zeros(()), torch.zeros((), dtype=torch.bool)
    return Motion(still.expand(pairs, 2, *out), hidden.expand(pairs, 1, *out), exact=False)


def first_readable(
    tries: Iterable[tuple[ReadableFilm, Callable[[], RawClip]]], what: str, where: str
) -> RawClip | UserError:
    """Make the first clip that can be made, and note in it the films that failed before.

    Returns:
        The clip; or, where none could be made, the error for the main process to raise: one raised in a worker would
        come out of the DataLoader wrapped in a traceback.
    """
    failed: dict[str, str] = {}
    for film, make in tries:
        try:
            clip = make()
        except UserError as error:
            failed.setdefault(film.name, str(error))
        else:
            skipped = tuple(f"{name}: {reason}" for name, reason in failed.items())
            return replace(clip, skipped=(*skipped, *clip.skipped)) if skipped else clip
    example = next(f"{name}: {reason}" for name, reason in failed.items())
    return UserError(f"no {what} could be read from {where}: tried {len(failed)} films, the first being {example}")
