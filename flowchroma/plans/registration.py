"""How a picture lies on a frame: one affine map, found from structure that survives other tones and colours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_COARSE = ((60, 120, 240), (30, 60, 120, 240))  # short sides of the levels: one start may fail where another does not
_SMALLEST = 16  # pixels of a side, that there is structure to compare
_FINEST = 540  # a finer level gains nothing at 1080p
_PHASE_SIDE = 120
_SURE = 0.9  # of correlation, that no other start is tried
_CROP = 0.88  # of the frame's sides, where a picture is cropped
_WINDOWS = 6  # in the short side: light is compared within one
_CONTRAST_FLOOR = 4.0  # in gray levels: weaker structure is noise
_STEPS, _PRECISION = 30, 1e-4
_SMOOTHING = 3  # pixels of OpenCV's Gaussian before it takes gradients


@dataclass(frozen=True)
class Registration:
    """Where a picture lies on a frame."""

    matrix: np.ndarray  # (2, 3), from pixels (x, y, 1) of the picture to pixels of the frame
    correlation: float  # of their structure, at most 1; -1 where there is none to compare


def register(picture: np.ndarray, frame: np.ndarray, starts: Sequence[np.ndarray]) -> Registration:
    """Find the affine map from a picture to a frame by enhanced correlation (Evangelidis and Psarakis, PAMI 2008).

    From coarse to fine, on `structure`.

    Args:
        picture: (h, w) uint8, gray.
        frame: (H, W) uint8, gray.
        starts: Maps (2, 3) to begin with, of which the one that leads furthest is taken.
    """
    if min(*picture.shape, *frame.shape) < _SMALLEST:
        return Registration(starts[0], -1.0)
    picture_levels, frame_levels = _Levels(picture, frame.shape), _Levels(frame, frame.shape)
    finest = min(*frame.shape, _FINEST)
    best = Registration(starts[0], -1.0)
    for start, levels in _begun(picture_levels, frame_levels, starts):
        coarse = [level for level in levels if level < finest]
        best = max(best, _refined(picture_levels, frame_levels, start, coarse), key=lambda found: found.correlation)
        if best.correlation > _SURE:
            break
    fine = _refined(picture_levels, frame_levels, best.matrix, [finest])
    return fine if fine.correlation > -1 else best


def structure(gray: np.ndarray, windows: int = _WINDOWS) -> np.ndarray:
    """Gray values less their mean within a window, over their contrast there: gamma, contrast and uneven light go.

    Args:
        gray: (h, w).
        windows: How many lie side by side in the shorter side.

    Returns:
        (h, w) float32, of about unit variance where there is structure.
    """
    import cv2

    width = max(3, int(min(gray.shape) / windows)) | 1
    centred = gray.astype(np.float32)
    centred -= cv2.blur(centred, (width, width))
    variance = cv2.blur(centred * centred, (width, width))
    return centred / (np.sqrt(np.maximum(variance, 0)) + _CONTRAST_FLOOR)


def scaling(size: Sequence[int], new: Sequence[int]) -> np.ndarray:
    """(3, 3) that takes pixels (x, y, 1) of a picture of a size, (H, W), to those of the same in another."""
    y, x = new[0] / size[0], new[1] / size[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def square(matrix: np.ndarray) -> np.ndarray:
    """(2, 3) made (3, 3), so that maps can be multiplied."""
    return np.vstack([matrix, [0, 0, 1]])


class _Levels:
    """A picture's structure at the fractions at which a frame has a given short side."""

    def __init__(self, gray: np.ndarray, frame: Sequence[int]) -> None:
        self._gray, self._side = gray, min(frame)
        self.shape = gray.shape
        self._made: dict[int, np.ndarray] = {}

    def at(self, level: int) -> np.ndarray:
        import cv2

        if level not in self._made:
            size = [max(8, round(side * level / self._side)) for side in self._gray.shape]
            small = cv2.resize(self._gray, size[::-1], interpolation=cv2.INTER_AREA)
            self._made[level] = structure(small if level < self._side else self._gray)
        return self._made[level]

    def scaling(self, level: int) -> np.ndarray:
        return scaling(self._gray.shape, self.at(level).shape)


def _begun(
    picture: _Levels, frame: _Levels, starts: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, Sequence[int]]]:
    """Starts, and the levels to take from each."""
    for levels in _COARSE:
        yield from ((start, levels) for start in starts)
    yield from ((_shifted(picture, frame, start), _COARSE[0]) for start in starts)
    yield from ((_cropped(frame, start), _COARSE[0]) for start in starts)


def _shifted(picture: _Levels, frame: _Levels, start: np.ndarray) -> np.ndarray:
    """A start moved by phase correlation."""
    import cv2

    fixed = frame.at(_PHASE_SIDE)
    to_frame = frame.scaling(_PHASE_SIDE)
    near = to_frame @ square(start) @ np.linalg.inv(picture.scaling(_PHASE_SIDE))
    moved = cv2.warpAffine(picture.at(_PHASE_SIDE), near[:2], fixed.shape[::-1])
    shift, _ = cv2.phaseCorrelate(moved, fixed, cv2.createHanningWindow(fixed.shape[::-1], cv2.CV_32F))
    if not np.isfinite(shift).all():
        return start
    by = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    return (np.linalg.inv(to_frame) @ by @ to_frame @ square(start))[:2]


def _cropped(frame: _Levels, start: np.ndarray) -> np.ndarray:
    """A start at which the picture shows less of the frame."""
    y, x = ((side - 1) / 2 for side in frame.shape)
    about = np.array([[_CROP, 0, (1 - _CROP) * x], [0, _CROP, (1 - _CROP) * y], [0, 0, 1]])
    return (about @ square(start))[:2]


def _refined(picture: _Levels, frame: _Levels, start: np.ndarray, levels: Sequence[int]) -> Registration:
    import cv2

    matrix, correlation = square(start), -1.0
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _STEPS, _PRECISION)
    for level in levels:
        to_picture, to_frame = picture.scaling(level), frame.scaling(level)
        near: Any = (to_frame @ matrix @ np.linalg.inv(to_picture))[:2].astype(np.float32)
        everywhere = np.full(frame.at(level).shape, 255, np.uint8)
        try:
            correlation, near = cv2.findTransformECC(
                picture.at(level), frame.at(level), near, cv2.MOTION_AFFINE, stop, everywhere, _SMOOTHING
            )
        except cv2.error:  # no structure, or no overlap
            return Registration(start, -1.0)
        matrix = np.linalg.inv(to_frame) @ square(near) @ to_picture
    return Registration(matrix[:2], float(correlation) if np.isfinite(correlation) else -1.0)
