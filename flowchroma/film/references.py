"""The picture that a film takes its colour from."""

import re
import warnings
from pathlib import Path

import numpy as np
import torch

from flowchroma.color import rgb_to_lab
from flowchroma.errors import UserError
from flowchroma.film.film import Film, check_indices

# A colour difference of 2.3 is just noticeable (Mahy et al. 1994): a picture whose chroma stays below it looks gray.
_GRAY_CHROMA = 2.3
_COLOURED_SHARE = 1e-3  # of the pixels: a gray photograph with one small coloured thing in it is a reference
_SHORT_SIDE = 240  # chroma is judged at about the size that networks see; above it, lie grain and scanner noise
# Tint is judged smaller still, where the chroma noise of JPEG is averaged out. With these bounds one of 133 photographs
# and film frames counts as toned, and so do nine of ten of them once they are toned brown, blue or in two tones.
_TINT_SIDE, _TONE, _RARE = 60, 5.0, 0.005
_TONES, _STEP, _ACROSS, _ALONG = 8, 10.0, 3.1, 7.0


def read_reference(spec: str | int, film: Film) -> tuple[np.ndarray, int | None]:
    """Read a colour reference.

    Args:
        spec: The path of a picture, "first", or the number of a frame of the film, from 0.
        film: The film to be coloured.

    Returns:
        The reference, (h, w, 3) uint8 RGB, of any size; and the frame of the film that it is, or None.

    Raises:
        UserError: The picture cannot be read or has no colour, the film has no frame of that number, or that frame is a
            toned gray one, such as sepia. A toned picture is a reference on purpose, and warned of.
    """
    text = str(spec)
    frame = 0 if text == "first" else int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None
    if frame is not None:
        name = f"frame {frame} of {film.name}"
        check_indices(f"reference={text}: {getattr(film, 'path', film.name)}", [frame], len(film))
        rgb = film.read([frame])[0]
    else:
        path = Path(text).expanduser()
        name, frame = str(path), _frame_of(path, film)
        rgb = _picture(path)
    if not has_colour(rgb):
        raise UserError(f"the reference {name} has no colour, it is gray: give a coloured picture as reference")
    if has_one_hue(rgb):
        if frame is not None:
            raise UserError(
                f"the reference {name} is gray with a tint, such as sepia, and no colour: give a coloured picture as"
                " reference, or, if the tint is what you want, a copy of the frame elsewhere"
            )
        warnings.warn(f"the reference {name} has one hue, like a tinted gray picture: so will the film", stacklevel=2)
    return rgb, frame


def has_colour(rgb: np.ndarray) -> bool:
    """Whether anything in a picture, (H, W, 3) uint8 RGB, is noticeably coloured."""
    chroma = np.linalg.norm(_small_lab(rgb, _SHORT_SIDE)[1:], axis=0)
    return bool((chroma > _GRAY_CHROMA).mean() > _COLOURED_SHARE)


def has_one_hue(rgb: np.ndarray) -> bool:
    """Whether a picture, (H, W, 3) uint8 RGB, is a toned gray one: sepia, blue-toned, in two tones.

    Its chroma is then a function of lightness, but for noise: ab less the median of its tone, a step of 5 in L, varies
    little, and most of that along one direction. A picture of few tones, or whose medians leap from one tone to the
    next, is made of coloured areas.
    """
    luma, *ab = _small_lab(rgb, _TINT_SIDE).reshape(3, -1)
    rest, tone = np.stack(ab), (luma / _TONE).astype(int)
    tinted = np.median(np.linalg.norm(rest, axis=0)) > _GRAY_CHROMA
    levels, counts = np.unique(tone, return_counts=True)
    common = levels[counts > _RARE * tone.size]
    medians = np.stack([np.median(rest[:, tone == level], axis=1) for level in common])
    steps = np.linalg.norm(np.diff(medians, axis=0), axis=1)
    if not tinted or len(common) < _TONES or (steps > _STEP).any():
        return False
    usual = np.isin(tone, common)
    rest = rest[:, usual] - medians[np.searchsorted(common, tone[usual])].T
    spread = np.quantile(np.abs(np.linalg.eigh(rest @ rest.T)[1].T @ rest), 0.99, axis=1)
    return bool(spread[0] < _ACROSS and spread[1] < _ALONG)


def _small_lab(rgb: np.ndarray, short_side: int) -> np.ndarray:
    """CIELAB, (3, h, w), of a picture shrunk by the mean over areas, if it is larger."""
    import cv2

    shrink = min(1.0, short_side / min(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else rgb
    return rgb_to_lab(torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)).numpy()


def _picture(path: Path) -> np.ndarray:
    from flowchroma.film.image_files import fill_transparent, read_image

    if path.is_dir():
        raise UserError(f"the reference {path} is a folder: give one picture")
    if not path.exists():
        raise UserError(f"no reference at {path}: give a picture, 'first', or the number of a frame")
    return fill_transparent(path, read_image(path))


def _frame_of(path: Path, film: Film) -> int | None:
    """The number of a frame given by its file."""
    files = [file.resolve() for file in getattr(film, "files", ())]
    return files.index(path.resolve()) if path.resolve() in files else None
