"""Reading films that may be bad."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from flowchroma.data.geometry import WHOLE, Crop, resize, resize_flow
from flowchroma.data.source import ReadableFilm
from flowchroma.errors import UserError
from flowchroma.types import RawClip

_STILL, _HIDDEN = torch.zeros(()), torch.zeros((), dtype=torch.bool)


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


def read_frames(film: ReadableFilm, indices: Sequence[int], crop: Crop, out: tuple[int, int]) -> Tensor:
    """Read frames, cut and scaled to `out`: (N, 3, H, W), uint8.

    Raises:
        UserError: a frame cannot be read, or its size is not that of the others.
    """
    height, width = crop.needs(out)
    frames = film.read(indices, at_least=(min(height, film.size[0]), min(width, film.size[1])))
    sizes = {frame.shape[:2] for frame in frames}
    if len(sizes) > 1:
        raise UserError(f"its frames have different sizes: {', '.join(f'{w} x {h}' for h, w in sorted(sizes))}")
    top, left, rows, columns = crop.pixels(frames[0].shape[:2])
    # Cut before they are stacked: what is cut away need not be copied.
    cut = np.stack([frame[top : top + rows, left : left + columns] for frame in frames])
    return resize(torch.from_numpy(cut).permute(0, 3, 1, 2), WHOLE, out)


def read_motion(film: ReadableFilm, indices: Sequence[int], crop: Crop, out: tuple[int, int]) -> Motion:
    """Read the exact flow of consecutive frames, cut and scaled as they are; zeros, all hidden, where it is unknown."""
    if knows_flow(film):
        flow, visible = film.read_flow(indices[1:])  # type: ignore[attr-defined]
        return Motion(*resize_flow(flow, visible, crop, out), exact=True)
    pairs = len(indices) - 1
    # Views of a single zero: most clips of real films say nothing, and need no memory to say it.
    return Motion(_STILL.expand(pairs, 2, *out), _HIDDEN.expand(pairs, 1, *out), exact=False)


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
