"""The picture that a film takes its colour from."""

import re
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


def read_reference(spec: str | int, film: Film) -> tuple[np.ndarray, int | None]:
    """Read a colour reference.

    Args:
        spec: The path of a picture, "first", or the number of a frame of the film, from 0.
        film: The film to be coloured.

    Returns:
        The reference, (h, w, 3) uint8 RGB, of any size; and the frame of the film that it is, or None.

    Raises:
        UserError: The picture cannot be read or has no colour, or the film has no frame of that number.
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
    return rgb, frame


def has_colour(rgb: np.ndarray) -> bool:
    """Whether anything in a picture, (H, W, 3) uint8 RGB, is noticeably coloured."""
    import cv2

    shrink = min(1.0, _SHORT_SIDE / min(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else rgb
    ab = rgb_to_lab(torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1))[1:]
    return bool((ab.norm(dim=0) > _GRAY_CHROMA).float().mean() > _COLOURED_SHARE)


def _picture(path: Path) -> np.ndarray:
    from flowchroma.film.image_files import read_image

    if path.is_dir():
        raise UserError(f"the reference {path} is a folder: give one picture")
    if not path.exists():
        raise UserError(f"no reference at {path}: give a picture, 'first', or the number of a frame")
    return read_image(path)


def _frame_of(path: Path, film: Film) -> int | None:
    """The number of a frame given by its file."""
    files = [file.resolve() for file in getattr(film, "files", ())]
    return files.index(path.resolve()) if path.resolve() in files else None
