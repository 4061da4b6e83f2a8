"""Folders of pictures, ImageNet and the like: each picture becomes the film of a camera that moves over it."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.data.made.plane_motion import PlaneMotion, draw_camera
from flowchroma.data.made.scene import Layer, RenderedFilm, Scene
from flowchroma.data.sources.films import pick_split
from flowchroma.data.sources.source import FolderSource, existing_root
from flowchroma.errors import UserError
from flowchroma.film.suffixes import FRAME_SUFFIXES

_ROOM = 1.4  # a film's frame size over that of the clips, which are cropped from it
_DENSITY = 1.5  # texels a pixel
_GRAY = 2.0  # of 255: mean difference of the channels below which a picture counts as gray


@dataclass(frozen=True)
class StillFilm(RenderedFilm):
    """A camera that pans, turns and zooms over one picture: a pure function of its fields and the file.

    As every frame is a homography of the picture, the flow is exact. Beyond its edges the picture is mirrored.
    """

    name: str
    path: Path
    size: tuple[int, int]  # height, width
    frames: int = 40
    motion: float = 1.0  # factor on all speeds
    # All of the same folder, this one included.
    siblings: Sequence["StillFilm"] = field(default=(), compare=False, repr=False)

    @property
    def scene(self) -> Scene:
        """See `RenderedFilm`; a `UserError` where the picture cannot be read, or is gray."""
        return _scene(self)

    def draw_sibling(self, rng: np.random.Generator) -> "StillFilm | None":
        """Draw another picture of the same folder, in ImageNet of the same class; None where there is none."""
        others = len(self.siblings) - 1
        if others < 1:
            return None
        drawn = self.siblings[int(rng.integers(others))]
        return self.siblings[-1] if drawn == self else drawn


@dataclass(frozen=True)
class Images(FolderSource):
    """Every picture under a folder. Those of one folder serve each other as references of kind "other".

    The split is decided by sub-folders `train`, `val` and `test`, or by a hash of the picture's name.

    Args:
        root: the folder.
        size: height and width of the clips; the films' frames are larger, to be cropped.
        frames: length of the film made of each picture.
        motion: factor on all speeds of the camera.
        val_fraction: part of the pictures that the hash gives to validation.
        clips_per_image: clips that an epoch takes from each picture.
        weight: share of this source among several.
    """

    root: str | Path | None
    size: Sequence[int] = (224, 224)
    frames: int = 40
    motion: float = 1.0
    val_fraction: float = 0.05
    clips_per_image: int = 1
    weight: float = 1.0

    def epoch_length(self, films: int) -> int:
        """How many clips an epoch takes from this source."""
        return films * self.clips_per_image

    def films(self, split: str) -> list[StillFilm]:
        """List the pictures of a split, opening none; a `UserError` where there are none."""
        root = existing_root(self.root, "the pictures")
        found = _find_pictures(root)
        if not found:
            raise UserError(f"no picture lies under {root}: looked for *{', *'.join(sorted(FRAME_SUFFIXES))}")
        names = pick_split(found, split, self.val_fraction)
        if not names:
            raise UserError(f"of the {len(found)} pictures under {root} none is for {split}: add some")
        size = (ceil(_ROOM * self.size[0]), ceil(_ROOM * self.size[1]))
        folders: dict[Path, list[StillFilm]] = {}
        for name in names:
            siblings = folders.setdefault(found[name].parent, [])
            siblings.append(StillFilm(name, found[name], size, self.frames, self.motion, siblings))
        return [film for siblings in folders.values() for film in siblings]


def _find_pictures(root: Path) -> dict[str, Path]:
    """Paths by name, which is the path from the root."""
    found = {}
    for here, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for file in sorted(files):
            if Path(file).suffix.lower() in FRAME_SUFFIXES and not file.startswith("."):
                path = Path(here, file)
                found[path.relative_to(root).as_posix()] = path
    return found


# A clip's frames and its flow are read one after the other, and then its reference, which is of a second film.
@lru_cache(maxsize=2)
def _scene(film: StillFilm) -> Scene:
    rng = np.random.default_rng(zlib.crc32(film.name.encode()))
    picture = _picture(film.path)
    height, width = picture.shape[-2:]
    longest = max(film.size)
    # In units of the frame's longer side; at this size, the picture covers a little more than the frame.
    texel = max(film.size[1] / width, film.size[0] / height) / longest * rng.uniform(1.05, 1.5)
    shrink = texel * longest * _DENSITY
    if shrink < 1:
        sides = [max(8, round(side * shrink)) for side in (height, width)]
        picture = F.interpolate(picture[None], sides, mode="bilinear", antialias=True)[0]
    layer = Layer(picture, (width * texel / 2, height * texel / 2), PlaneMotion())
    return Scene([layer], draw_camera(rng, film.motion), film.size)


def _picture(path: Path) -> Tensor:
    """Read a picture: (3, H, W), float32 RGB in [0, 1]."""
    from flowchroma.film.image_files import read_image

    rgb = torch.from_numpy(read_image(path)).permute(2, 0, 1).float()
    if (rgb.amax(dim=0) - rgb.amin(dim=0)).mean() < _GRAY:
        raise UserError(f"the picture {path} is gray: it has no colour to teach")
    return rgb / 255
