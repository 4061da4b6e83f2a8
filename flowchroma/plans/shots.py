"""The shots of a film, and which of them have colour of their own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.color import rgb_to_lab
from flowchroma.film.references import has_one_hue
from flowchroma.plans.transitions import FLASH, THUMBNAIL, Transition, find_transitions

_SMALL = (72, 128)  # (h, w) to which frames are shrunk at once
# Colour is looked for in these areas, which average out the chroma noise of tapes and codecs: strong noise reaches a
# chroma of 4.3 in one area of a hundred, the palest of 91 photographs and films 4.7.
_AREAS, _CHROMA, _COLOURED_SHARE = (18, 32), 4.6, 0.01
_EVERY = FLASH  # frames from one whose colour is judged to the next: at least one in each shot


@dataclass(frozen=True)
class Shot:
    """Frames taken in one go, or what a cut, fade or dissolve leaves of them.

    Attributes:
        start: Its first frame.
        stop: One past its last frame.
        coloured: The film has colour of its own there; a tint, such as sepia, is none.
        begins: With the film, or by which transition.
        head: Frames at its start that a fade or a dissolve changes: no keyframes.
        tail: The same, at its end.
    """

    start: int
    stop: int
    coloured: bool = False
    begins: Literal["film", "cut", "fade", "dissolve"] = "film"
    head: int = 0
    tail: int = 0


def find_shots(film: Iterable[np.ndarray], progress: Callable[[int], None] = lambda done: None) -> list[Shot]:
    """Divide a film into its shots, in one pass and in memory that hardly grows with the film.

    A dissolve is divided where more of its contrast is from the next shot than from the one before: matching and flow
    follow contrast, so that each frame is coloured from the shot that they would find in it. A fade is divided where
    the next shot comes out of black or white: what is black or white before has no colour to find, and colouring
    itself starts afresh there (`ops.is_cut`).

    Args:
        film: (H, W, 3) uint8 RGB frames in order. A film that may be damaged is read by way of `film.HeldFilm`.
        progress: Called with the number of frames that are done.

    Returns:
        Shots in order, which hold every frame once. None is shorter than `FLASH + 1` frames, but for the first and the
        last.
    """
    votes: dict[int, bool] = {}
    counted = 0

    def thumbnails() -> Iterator[Tensor]:
        nonlocal counted
        small = None
        for frame in film:
            small = _shrink(frame, _SMALL)
            if counted % _EVERY == 0:
                votes[counted] = has_own_colour(small)
            counted += 1
            yield _luma(small)
            progress(counted)
        if small is not None:
            votes[counted - 1] = has_own_colour(small)

    found = find_transitions(thumbnails())
    return _shots(found, counted, votes)


def has_own_colour(rgb: np.ndarray) -> bool:
    """Whether a picture, (H, W, 3) uint8 RGB, has colours that a gray or tinted one, also a noisy one, has not."""
    small = _shrink(rgb, _SMALL)
    chroma = _lab(_shrink(small, _AREAS))[1:].norm(dim=0)
    return bool((chroma > _CHROMA).float().mean() > _COLOURED_SHARE) and not has_one_hue(small)


def _shots(transitions: list[Transition], frames: int, votes: dict[int, bool]) -> list[Shot]:
    if not frames:
        return []
    whole = Transition(0, 0, 0, "cut"), Transition(frames, frames, frames, "cut")
    shots = []
    for one, other in pairwise([whole[0], *transitions, whole[1]]):
        asked = [colour for at, colour in votes.items() if one.at <= at < other.at]
        shots.append(
            Shot(
                start=one.at,
                stop=other.at,
                coloured=2 * sum(asked) > len(asked),
                begins=one.kind if one.at else "film",
                head=one.stop - one.at,
                tail=other.at - other.first,
            )
        )
    return shots


def _shrink(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if rgb.shape[:2] == size:
        return rgb
    import cv2

    return cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)


def _lab(rgb: np.ndarray) -> Tensor:
    return rgb_to_lab(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1))


def _luma(rgb: np.ndarray) -> Tensor:
    return F.avg_pool2d(_lab(rgb)[:1], _SMALL[0] // THUMBNAIL[0])
