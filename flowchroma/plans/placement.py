"""Where a picture may lie on a frame, and what an affine map does to it, in words."""

from dataclasses import dataclass

import numpy as np

from flowchroma.plans.registration import scaling, square

_SAME_SHAPE = 0.03  # of the ratio of sides: pictures are stretched by less
_TENTH = 0.1
_SCALES = (0.78, 1.28)  # a picture without a tenth of the frame on each side shows 0.8 of it
_TURN = 6.0  # degrees


@dataclass(frozen=True)
class Placement:
    """What a map from a frame onto itself does."""

    shift: tuple[float, float]  # pixels that the frame's centre moves, (x, y)
    scale: tuple[float, float]  # (x, y)
    turn: float  # degrees, clockwise

    @property
    def words(self) -> str:
        """What is seen of it: "shifted by 3.0, -1.5 pixels, scaled by 1.020"; empty where nothing is."""
        x, y = self.scale
        parts = []
        if max(map(abs, self.shift)) >= 0.05:
            parts.append("shifted by {:.1f}, {:.1f} pixels".format(*self.shift))
        if max(abs(x - 1), abs(y - 1)) >= 0.001:
            parts.append(f"scaled by {x:.3f}" if abs(x - y) < 0.002 else f"scaled by {x:.3f} across and {y:.3f} down")
        if abs(self.turn) >= 0.05:
            parts.append(f"turned by {self.turn:.1f} degrees")
        return ", ".join(parts)


def placed(matrix: np.ndarray, own: tuple[int, ...], size: tuple[int, ...]) -> Placement:
    """How a map (2, 3), from a picture of size `own` to a frame of `size`, (H, W), differs from stretching it."""
    change = square(matrix) @ np.linalg.inv(scaling(own, size))
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2, 1])
    shift = (change @ centre - centre)[:2]
    x, y = np.linalg.norm(change[:2, :2], axis=0)
    turn = np.degrees(np.arctan2(change[1, 0], change[0, 0]))
    return Placement((float(shift[0]), float(shift[1])), (float(x), float(y)), float(turn))


def starts(own: tuple[int, ...], size: tuple[int, ...]) -> list[np.ndarray]:
    """Maps (2, 3) by which a picture may lie on a frame: stretched; if that alters its shape, also whole, or filling.

    Args:
        own: (h, w) of the picture.
        size: (H, W) of the frame.
    """
    stretched = scaling(own, size)
    x, y = stretched[0, 0], stretched[1, 1]
    maps = [stretched[:2]]
    if abs(x / y - 1) >= _SAME_SHAPE:
        for scale in (min(x, y), max(x, y)):
            left, top = ((new - scale * old + scale - 1) / 2 for old, new in zip(own[::-1], size[::-1], strict=True))
            maps.append(np.array([[scale, 0, left], [0, scale, top]]))
    return maps


def is_small(matrix: np.ndarray, start: np.ndarray, size: tuple[int, ...]) -> bool:
    """Whether a map differs from its start by no more than a tenth of the frame, on each side, and 6 degrees."""
    change = square(matrix) @ np.linalg.inv(square(start))
    scales = np.linalg.svd(change[:2, :2], compute_uv=False)
    far = placed(change[:2], size, size)
    shifted = all(abs(by) <= _TENTH * side for by, side in zip(far.shift, size[::-1], strict=True))
    return shifted and scales.min() > _SCALES[0] and scales.max() < _SCALES[1] and abs(far.turn) <= _TURN


def distance(one: np.ndarray, other: np.ndarray, own: tuple[int, ...]) -> float:
    """Largest distance, in the frame's pixels, between where two maps take the corners of a picture of size `own`."""
    x, y = own[1] - 1, own[0] - 1
    corners = np.array([[0, x, 0, x], [0, 0, y, y], [1, 1, 1, 1]], float)
    return float(np.linalg.norm((one - other) @ corners, axis=0).max())


def covered(matrix: np.ndarray, own: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """(H, W), bool: where a picture of size `own` lies on a frame of `size`."""
    import cv2

    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    back = np.linalg.inv(square(matrix))[:2].astype(np.float32)
    at = cv2.transform(np.stack([x, y], axis=-1), back)
    return np.all((at >= -0.5) & (at <= np.array(own[::-1], np.float32) - 0.5), axis=-1)
