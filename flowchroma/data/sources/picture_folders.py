"""Folders of pictures, ImageNet and the like: each picture is a film that a camera makes of it."""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flowchroma.data.made.plane_motion import Motion, draw_camera
from flowchroma.data.made.scene import Layer, Scene
from flowchroma.data.sources.films import pick_split
from flowchroma.data.sources.source import IMAGE_SUFFIXES, existing_root
from flowchroma.errors import UserError

_ROOM = 1.4  # side of a film's frames over that of the clips cut from them
_DENSITY = 1.5  # texels a pixel
_GRAY = 2.0  # of 255: mean difference of the channels below which a picture has no colour to teach


@dataclass(frozen=True)
class StillFilm:
    """A camera that pans, turns and zooms over one picture: a pure function of its fields and the file.

    As every frame is a homography of the picture, the flow is exact. Beyond its edges the picture is mirrored.
    """

    name: str
    path: Path
    size: tuple[int, int]  # height, width
    frames: int = 40
    motion: float = 1.0  # factor on all speeds
    folder: Sequence["StillFilm"] = field(default=(), compare=False, repr=False)  # the pictures beside it, and itself

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame in order, (H, W, 3) uint8 RGB."""
        return (self.read([index])[0] for index in range(len(self)))

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[NDArray[np.uint8]]:
        """See `flowchroma.film.Film.read`.

        Raises:
            UserError: the picture cannot be read, or is gray.
        """
        scene = _scene(self)
        pictures = (scene.render(index) for index in indices)
        return [p.mul(255).round_().clamp_(0, 255).byte().permute(1, 2, 0).contiguous().numpy() for p in pictures]

    def read_flow(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Give the exact motion from each of the frames to the one before it. See `SampleFilm.read_flow`."""
        scene = _scene(self)
        flows = [scene.flow(index, index - 1) for index in indices]
        visible = torch.stack([seen & (index > 0) for (_, seen), index in zip(flows, indices, strict=True)])
        return torch.stack([flow for flow, _ in flows]), visible

    def another(self, rng: np.random.Generator) -> "StillFilm | None":
        """Draw another picture of the same folder, which in ImageNet shows the same kind of thing."""
        others = len(self.folder) - 1
        if others < 1:
            return None
        drawn = self.folder[int(rng.integers(others))]
        return self.folder[-1] if drawn == self else drawn


@dataclass(frozen=True)
class Images:
    """Every picture under a folder. Pictures of one folder stand in for each other as references of kind "other".

    What is trained on is settled by sub-folders `train`, `val` and `test`, or by a hash of the picture's name.

    Args:
        root: the folder.
        size: height and width of the clips; the films' frames are larger, to be cut.
        frames: length of the film that is made of a picture.
        motion: factor on all speeds of the camera.
        val_fraction: part of the pictures that the hash holds out.
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

    @property
    def where(self) -> str:
        """Where the data come from, for messages."""
        return str(self.root)

    def epoch_length(self, films: int) -> int:
        """Tell how many clips an epoch takes from this source."""
        return films * self.clips_per_image

    def films(self, split: str) -> list[StillFilm]:
        """List the pictures of a split; none is opened yet.

        Raises:
            UserError: the root is missing, or has no picture for the split.
        """
        root = existing_root(self.root, "the pictures")
        found = _find_pictures(root)
        if not found:
            raise UserError(f"no picture lies under {root}: looked for *{', *'.join(sorted(IMAGE_SUFFIXES))}")
        names = pick_split(found, split, self.val_fraction)
        if not names:
            raise UserError(f"of the {len(found)} pictures under {root} none is for {split}: add some")
        size = (ceil(_ROOM * self.size[0]), ceil(_ROOM * self.size[1]))
        folders: dict[Path, list[StillFilm]] = {}
        for name in names:
            beside = folders.setdefault(found[name].parent, [])
            beside.append(StillFilm(name, found[name], size, self.frames, self.motion, beside))
        return [film for beside in folders.values() for film in beside]


def _find_pictures(root: Path) -> dict[str, Path]:
    """Paths by name, which is the path from the root."""
    found = {}
    for here, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for file in sorted(files):
            if Path(file).suffix.lower() in IMAGE_SUFFIXES and not file.startswith("."):
                path = Path(here, file)
                found[path.relative_to(root).as_posix()] = path
    return found


# Two are kept: a clip's frames and its flow are read one after the other, and so is its reference.
@lru_cache(maxsize=2)
def _scene(film: StillFilm) -> Scene:
    rng = np.random.default_rng(zlib.crc32(film.name.encode()))
    picture = _picture(film.path)
    height, width = picture.shape[-2:]
    longest = max(film.size)
    # Units of the frame's longer side: the picture covers the frame, and a little more.
    texel = max(film.size[1] / width, film.size[0] / height) / longest * rng.uniform(1.05, 1.5)
    shrink = texel * longest * _DENSITY
    if shrink < 1:
        sides = [max(8, round(side * shrink)) for side in (height, width)]
        picture = F.interpolate(picture[None], sides, mode="bilinear", antialias=True)[0]
    layer = Layer(picture, (width * texel / 2, height * texel / 2), Motion())
    return Scene([layer], draw_camera(rng, film.motion), film.size)


def _picture(path: Path) -> Tensor:
    """Read a picture: (3, H, W), float32 RGB in [0, 1]."""
    from flowchroma.film.image_files import read_image

    rgb = torch.from_numpy(read_image(path)).permute(2, 0, 1).float()
    if (rgb.amax(dim=0) - rgb.amin(dim=0)).mean() < _GRAY:
        raise UserError(f"the picture {path} is gray: it has no colour to teach")
    return rgb / 255
