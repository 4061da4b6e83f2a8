"""Colour photographs of the installed scikit-image, read without importing it."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from flowchroma.errors import UserError

_LONGEST_SIDE = 800  # pixels; larger photographs are shrunk when they are read


@dataclass(frozen=True)
class Photograph:
    """A photograph on disk, and the part of it that is used."""

    path: Path
    subject: str  # photographs of one subject (a stereo pair) are in the same split
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)  # left, top, right, bottom, as fractions


# Not hubble_deep_field, which is nearly black all over.
_RETINA = (0.2, 0.16, 0.8, 0.84)  # without the black around the eye
_FILES = {
    "train": (
        ("astronaut.png", "astronaut"),
        ("motorcycle_left.png", "motorcycle"),
        ("motorcycle_right.png", "motorcycle"),
        ("rocket.jpg", "rocket"),
        ("retina.jpg", "retina"),
        ("ihc.png", "ihc"),
    ),
    "val": (("chelsea.png", "chelsea"), ("coffee.png", "coffee")),
}


@lru_cache(maxsize=2)
def photographs(split: str) -> tuple[Photograph, ...]:
    """List the photographs of a split ("train", or anything else for validation); a `UserError` for none."""
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise UserError("the sample data needs the photographs in scikit-image: pip install scikit-image")
    folder = Path(package.origin).parent / "data"
    files = _FILES["train" if split == "train" else "val"]
    found = tuple(
        Photograph(folder / name, subject, _RETINA if subject == "retina" else (0.0, 0.0, 1.0, 1.0))
        for name, subject in files
        if (folder / name).is_file()
    )
    if not found:
        raise UserError(f"none of {', '.join(name for name, _ in files)} is in {folder}: reinstall scikit-image")
    return found


@lru_cache(maxsize=16)
def load(photograph: Photograph) -> Tensor:
    """Read a photograph: (3, H, W), float32 RGB in [0, 1], cut to its box; at most 800 pixels long."""
    from PIL import Image

    with Image.open(photograph.path) as file:
        image = file.convert("RGB")
    left, top, right, bottom = photograph.box
    image = image.crop(
        (round(left * image.width), round(top * image.height), round(right * image.width), round(bottom * image.height))
    )
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float() / 255
