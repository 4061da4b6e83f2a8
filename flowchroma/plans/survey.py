"""What stills are chosen by: how alike a film's frames are, and how much moves in it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import rgb_to_lab
from flowchroma.models.contracts import Matcher
from flowchroma.plans.shots import Shot

_SIDE = 112  # short side at which the matcher sees frames
_POOLED = 4  # positions that follow one another and are taken as one
_SMALL = (72, 128)  # (h, w) at which motion is looked at
EVERY = 4  # frames from one that is sampled to the next, at least
PAIRS = 10  # compared for each frame of the film, at most: so the time grows with its length and not with its square
_CHUNK = 64  # frames that one is compared with at a time
_DARK, _FLAT = 6.0, 2.0  # L on average, and its deviation over the frame: nothing is there to be coloured


@dataclass(frozen=True)
class Survey:
    """A film looked through.

    Attributes:
        shots: Which hold every frame once.
        sampled: (N,) numbers of the frames that were compared, rising; one or more of each shot.
        similarity: (N, N), of each one to each other: mean over its positions of the best cosine there, in [0, 1].
        motion: (T,) what of the luminance the flow since the film's beginning does not explain, summed, in units of L.
        blank: (N,), bool: black or flat, so that nothing is to be coloured.
        usable: (N,), bool: not blank, and no part of a fade or a dissolve.
    """

    shots: Sequence[Shot]
    sampled: np.ndarray
    similarity: np.ndarray
    motion: np.ndarray
    blank: np.ndarray
    usable: np.ndarray


@torch.inference_mode()
def survey(
    film: Iterable[np.ndarray],
    shots: Sequence[Shot],
    matcher: Matcher,
    also: Iterable[int] = (),
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] = lambda done: None,
    every: int = EVERY,
    pairs: int = PAIRS,
) -> Survey:
    """Look through a film once; descriptors of sampled frames are all that is kept.

    Args:
        film: (H, W, 3) uint8 RGB frames in order, of which only the luminance is used.
        shots: The film's, see `find_shots`; or those of a part of it, which alone is looked through.
        matcher: Its features tell how alike two frames are.
        also: Numbers of frames that are sampled in any case.
        device: Where the matcher is.
        progress: Called with the number of frames that are done.
        every: Frames from one that is sampled to the next, at least.
        pairs: Of sampled frames, compared for each frame of the film, at most.
    """
    sampled = sorted({*_sampled(shots, every, pairs), *also})
    wanted = set(sampled)
    descriptors: list[Tensor] = []
    blank: list[bool] = []
    motion: list[float] = []
    before: Tensor | None = None
    first, stop = (shots[0].start, shots[-1].stop) if shots else (0, 0)
    for number, rgb in enumerate(islice(film, stop)):
        if number < first:
            motion.append(0.0)
            continue
        small = _luma(_resized(rgb, _SMALL))
        motion.append(0.0 if before is None else _unexplained(small, before))
        before = small
        if number in wanted:
            blank.append(float(small.mean()) < _DARK or float(small.std()) < _FLAT)
            descriptors.append(descriptor(rgb, matcher, device))
        progress(number + 1)
    without = np.array(blank, bool)
    usable = ~without & ~_changed(shots)[sampled]
    return Survey(shots, np.array(sampled, int), _similarity(descriptors), np.cumsum(motion), without, usable)


def descriptor(rgb: np.ndarray, matcher: Matcher, device: torch.device | str = "cpu") -> Tensor:
    """The matcher's features of a frame's luminance, (P, C) float16, of unit length.

    Args:
        rgb: (H, W, 3) uint8.
        matcher: Gives them.
        device: Where it is.
    """
    scale = min(1.0, _SIDE / min(rgb.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in rgb.shape[:2])
    luma = _luma(_resized(rgb, (height, width))).to(device)
    keys = matcher.encode_references(torch.cat([luma, torch.zeros_like(luma).expand(-1, 2, -1, -1)], 1)[:, None]).keys
    pooled = F.avg_pool1d(keys.transpose(1, 2).float(), min(_POOLED, keys.shape[1]))[0].T
    return F.normalize(pooled, dim=1).half()


def _sampled(shots: Sequence[Shot], every: int = EVERY, pairs: int = PAIRS) -> list[int]:
    """Frames evenly within each shot, clear of what a transition changes if anything is."""
    frames = shots[-1].stop - shots[0].start if shots else 0
    every = max(every, math.ceil(math.sqrt(frames / pairs)))
    found = []
    for shot in shots:
        first, stop = shot.start + shot.head, shot.stop - shot.tail
        if first >= stop:
            first, stop = shot.start, shot.stop
        count = max(1, round((stop - first) / every))
        found += [first + int((n + 0.5) * (stop - first) / count) for n in range(count)]
    return found


def _changed(shots: Sequence[Shot]) -> np.ndarray:
    """Whether a transition changes a frame: (T,)."""
    changed = np.zeros(shots[-1].stop if shots else 0, bool)
    for shot in shots:
        changed[shot.start : shot.start + shot.head] = changed[shot.stop - shot.tail : shot.stop] = True
    return changed


def _similarity(descriptors: Sequence[Tensor]) -> np.ndarray:
    """Of each frame to each other: (N, N)."""
    found = np.zeros((len(descriptors), len(descriptors)), np.float32)
    for first in range(0, len(descriptors), _CHUNK):
        keys = torch.stack([*descriptors[first : first + _CHUNK]]).float()
        for at, queries in enumerate(descriptors):
            best = (keys @ queries.float().T).amax(dim=1)
            found[at, first : first + _CHUNK] = best.mean(dim=1).clamp(0, 1).cpu().numpy()
    return found


def _unexplained(luma: Tensor, before: Tensor) -> float:
    """What of a frame's L its flow from the frame before does not explain, on average."""
    flow = ops.dis_flow(luma, before)
    return float((ops.backward_warp(before, flow) - luma).abs().mean())


def _resized(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """At once: what follows costs more, the larger a frame is."""
    import cv2

    return cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)


def _luma(rgb: np.ndarray) -> Tensor:
    return rgb_to_lab(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None])[:, :1]
