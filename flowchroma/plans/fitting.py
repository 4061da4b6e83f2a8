"""How a coloured picture fits the frame of a film that it is said to show."""

from dataclasses import dataclass, replace

import numpy as np

from flowchroma.film import Film, shown_frame
from flowchroma.plans.placement import covered, distance, is_small, placed, starts
from flowchroma.plans.registration import register, scaling, square
from flowchroma.plans.structure_mask import compare
from flowchroma.plans.thumbnail_search import frames_like

_EXACT = 0.5  # pixels: registration is hardly better, and resampling blurs
_NEAR, _FAR = 48, 500  # frames that are searched, before and after
# Shares of the area, and the third of what has structure in it: of pictures of other films 119 in 120 have 0.8 and
# more, of frames retouched in up to 15 % of their area 119 in 120 have 0.4 and less.
_CLEAN = 0.005
_MUCH = 0.05  # more than a retouched detail: the film is searched further
_STRANGE = 0.5
_BETTER = 0.5  # what another frame must leave of the difference, to be the one that is shown


@dataclass(frozen=True)
class Fit:
    """How a picture lies on a frame, and the picture so laid."""

    rgb: np.ndarray  # (H, W, 3) uint8, on the frame's grid, its border repeated outwards; as it came if it does not fit
    valid: np.ndarray  # (H, W), bool: the picture lies here, and has the frame's structure
    matrix: np.ndarray  # (2, 3), from pixels (x, y, 1) of the picture, turned over if it is mirrored, to the frame's
    covered: float  # share of the frame on which the picture lies
    differing: float  # share of this that has another structure: retouched
    strange: float  # the same, of what has structure
    mirrored: bool = False
    fits: bool = True
    looks_like: int | None = None  # the number of the frame that it seems to be, if another
    words: str = ""  # what is not exact about it, as a sentence that its name begins; empty where nothing is


def fit_keyframe(rgb: np.ndarray, film: Film, number: int) -> Fit:
    """Lay a picture on the frame that it is said to show.

    It may have another size, be shifted, scaled, turned or cropped by up to a tenth, be mirrored, and differ in tone:
    structure alone counts. Where it differs in a part, `Fit.valid` says where. A picture that fits another frame
    better, or none, does not fit. Frames that no motion of two pixels tells apart count as the same.

    Args:
        rgb: The picture, (h, w, 3) uint8 RGB.
        film: Its frames near `number` are searched where the picture does not agree with that one.
        number: The frame's.

    Raises:
        UserError: The film has no such frame, or it cannot be read.
    """
    frame = _gray(shown_frame(film, number))
    fit = _lay(rgb, frame)
    if fit.differing > _CLEAN and fit.strange > _STRANGE:
        turned = _lay(_turned_over(rgb), frame)
        if turned.strange < _STRANGE:
            fit = replace(turned, mirrored=True)
    if fit.differing > _CLEAN:
        fit = _compared_with_others(fit, rgb, film, number)
    fit = replace(fit, words=_words(fit, rgb.shape[:2], number))
    return fit if fit.fits else replace(fit, rgb=rgb)


def _compared_with_others(fit: Fit, rgb: np.ndarray, film: Film, number: int) -> Fit:
    """Look for another frame that a picture shows."""
    shown = _turned_over(rgb) if fit.mirrored else rgb
    pictures = [_gray(shown), _gray(fit.rgb)]  # as it is: another frame may be shown exactly where this one is not
    best, where = fit.differing, number
    searched = {number}
    for reach in (_NEAR, _FAR) if fit.differing > _MUCH else (_NEAR,):
        span = range(max(0, number - reach), min(len(film), number + reach + 1))
        for other in frames_like(pictures, film, [frame for frame in span if frame not in searched]):
            differing = _lay(shown, _gray(film.read([other])[0])).differing
            if differing < best:
                best, where = differing, other
        if best < _BETTER * fit.differing and fit.differing - best > _CLEAN:
            return replace(fit, fits=False, looks_like=where)
        searched.update(span)
    return replace(fit, fits=fit.strange <= _STRANGE)


def _lay(rgb: np.ndarray, frame: np.ndarray) -> Fit:
    """A picture (h, w, 3) on a frame (H, W), as their structure says."""
    import cv2

    picture, maps = _shrunk(rgb, frame.shape)
    own, size = picture.shape[:2], frame.shape
    matrix = register(_gray(picture), frame, maps).matrix
    start = min(maps, key=lambda one: distance(one, matrix, own))
    if distance(start, matrix, own) < _EXACT or not is_small(matrix, start, size):
        matrix = start
    inside = covered(matrix, own, size)
    laid = picture
    if own != size or not np.array_equal(matrix, np.eye(2, 3)):
        laid = cv2.warpAffine(picture, matrix, size[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    found = compare(_gray(laid), inside, frame)
    alike = cv2.resize(found.alike.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
    whole = (square(matrix) @ scaling(rgb.shape, own))[:2]
    return Fit(laid, alike & inside, whole, float(inside.mean()), found.differing, found.strange)


def _shrunk(rgb: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """A picture no larger than it lies on a frame of `size`, and where it may lie: a warp that shrinks would alias."""
    import cv2

    maps = starts(rgb.shape[:2], size)
    by = maps[0][0, 0], maps[0][1, 1]
    if min(by) >= 1:
        return rgb, maps
    width, height = (max(1, round(side * min(1.0, scale))) for side, scale in zip(rgb.shape[1::-1], by, strict=True))
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    back = np.linalg.inv(scaling(rgb.shape, small.shape))
    return small, [(square(one) @ back)[:2] for one in maps]


def _words(fit: Fit, own: tuple[int, ...], number: int) -> str:
    if fit.looks_like is not None:
        return f"does not show frame {number}, it looks like frame {fit.looks_like}: it is used as a plain reference"
    if not fit.fits:
        return f"does not show frame {number}, nor one near it: it is used as a plain reference"
    size = fit.valid.shape
    changes = ["mirrored"] if fit.mirrored else []
    if own != size:
        changes.append(f"of {own[1]} x {own[0]} pixels")
    if moved := placed(fit.matrix, own, size).words:
        changes.append(moved)
    lines = [f"is {', '.join(changes)}: it is laid on frame {number}"] if changes else []
    if fit.covered < 1 - _CLEAN:
        lines.append(f"covers {fit.covered:.0%} of frame {number}")
    if fit.differing > _CLEAN:
        lines.append(f"differs from frame {number} in {fit.differing:.1%} of its area, where it gives no colour")
    return "; it ".join(lines)


def _turned_over(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb[:, ::-1])


def _gray(rgb: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
