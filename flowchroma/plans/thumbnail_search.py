"""Which frames of a film look like a picture."""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film import Film
from flowchroma.plans.registration import structure

_SIDE = 60  # of thumbnails, the shorter one
_BEST = 3
_FLOOR = 0.4  # of the correlation: less is another scene


def frames_like(pictures: Sequence[np.ndarray], film: Film, numbers: Iterable[int]) -> Sequence[int]:
    """The three frames that look most like one of these pictures, or fewer, the best first: thumbnails are correlated.

    One frame after the other is decoded, and none kept; those that cannot be are left out.

    Args:
        pictures: Each (H, W) uint8, gray, of any size.
        film: Where to look.
        numbers: Of the frames that are looked at.
    """
    import cv2

    shrink = min(1.0, _SIDE / min(film.size))
    height, width = (max(1, round(side * shrink)) for side in film.size)

    def thumbnail(gray: np.ndarray) -> np.ndarray:
        small = structure(cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA))
        return small / max(1e-6, float(np.linalg.norm(small)))

    wanted = [thumbnail(picture) for picture in pictures]
    found: list[tuple[float, int]] = []
    for number in numbers:
        try:
            rgb = film.read([number], at_least=(height, width))[0]
        except UserError:
            continue
        shown = thumbnail(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        found.append((max(float((shown * one).sum()) for one in wanted), number))
    return [number for correlation, number in heapq.nlargest(_BEST, found) if correlation > _FLOOR]
