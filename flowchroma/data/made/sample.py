"""Generated films of moving photographs, with exact flow: the default data, which needs no download."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flowchroma.data.made.photographs import load, photographs
from flowchroma.data.made.plane_motion import PlaneMotion, Wave, draw_camera, draw_object
from flowchroma.data.made.scene import Layer, RenderedFilm, Scene, to_uint8
from flowchroma.data.recolour import colour_matrix, recolour

_DENSITY = 1.5  # texels a pixel: enough for bilinear sampling to keep detail, few enough not to alias
_MARGIN = 1.5  # half the side of an object's texture over its mean radius: no outline reaches further


@dataclass(frozen=True)
class SampleFilm(RenderedFilm):
    """A generated film, a function of its fields alone.

    Two to five layers, textured with photographs, move under a moving camera. Brightness and gamma oscillate, and grain
    is added. "train" and other splits share no photograph.
    """

    seed: int
    frames: int = 40
    size: tuple[int, int] = (224, 224)  # height, width
    split: str = "train"
    motion: float = 1.0  # factor on all speeds
    light: float = 1.0  # factor on the changes of brightness and gamma; 0 for none
    noise: float = 0.02  # largest standard deviation of the grain, of RGB in [0, 1]; 0 for none
    path: ClassVar[None] = None

    @property
    def name(self) -> str:  # type: ignore[override]
        """What messages call it."""
        return f"sample-{self.split}-{self.seed}"

    @property
    def scene(self) -> Scene:
        """See `RenderedFilm`."""
        return _lit_scene(self).scene

    def frame(self, index: int) -> NDArray[np.uint8]:
        """See `RenderedFilm`."""
        return _lit_scene(self).frame(index)


@dataclass(frozen=True)
class Sample:
    """A source of generated films.

    Args:
        size: height and width of the films.
        clips_per_epoch: clips drawn from training films in an epoch.
        frames: length of each film.
        train_films: number of training films.
        val_films: number of validation films.
        motion: factor on all speeds.
        light: factor on the changes of brightness and gamma.
        noise: largest standard deviation of the grain.
        weight: share of this source among several.
    """

    size: Sequence[int] = (224, 224)
    clips_per_epoch: int = 2000
    frames: int = 40
    train_films: int = 20_000
    val_films: int = 16
    motion: float = 1.0
    light: float = 1.0
    noise: float = 0.02
    weight: float = 1.0
    where: ClassVar[str] = "the photographs in scikit-image"

    def films(self, split: str) -> list[SampleFilm]:
        """List the films of a split; none is rendered yet."""
        count = self.train_films if split == "train" else self.val_films
        height, width = self.size
        options = {"motion": self.motion, "light": self.light, "noise": self.noise}
        return [SampleFilm(seed, self.frames, (height, width), split, **options) for seed in range(count)]

    def epoch_length(self, films: int) -> int:
        """How many clips an epoch takes from this source."""
        return self.clips_per_epoch


@dataclass(frozen=True)
class _LitScene:
    """A film's scene, with its brightness, gamma and grain."""

    scene: Scene
    seed: int
    gain: Wave  # its logarithm
    gamma: Wave  # its logarithm
    grain: float

    def frame(self, index: int) -> NDArray[np.uint8]:
        picture = self.scene.render(index)
        gain, gamma = math.exp(self.gain(index)), math.exp(self.gamma(index))
        if gain != 1 or gamma != 1:
            picture = picture.mul_(gain).pow_(gamma)
        if self.grain:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + index) % 2**63)
            picture = picture + self.grain * torch.randn(1, *picture.shape[1:], generator=generator)
        return to_uint8(picture)


# A clip's frames and its flow are read one after the other, and then its reference, which may be of a second film.
@lru_cache(maxsize=2)
def _lit_scene(film: SampleFilm) -> _LitScene:
    rng = np.random.default_rng((film.seed, 0 if film.split == "train" else 1))
    half = (film.size[1] / max(film.size) / 2, film.size[0] / max(film.size) / 2)
    count = int(rng.integers(1, 5))
    hues = rng.uniform(0, 2 * math.pi) + np.arange(count + 1) * 2 * math.pi / (count + 1)
    layers = [_background(rng, film, half, float(hues[0]))]
    layers += [_object(rng, film, half, float(hue)) for hue in hues[1:]]
    camera = draw_camera(rng, film.motion)
    gain = Wave(0.0, film.light * rng.uniform(0, 0.15), rng.uniform(20, 120), rng.uniform(0, 2 * math.pi))
    gamma = Wave(0.0, film.light * rng.uniform(0, 0.12), rng.uniform(20, 120), rng.uniform(0, 2 * math.pi))
    return _LitScene(Scene(layers, camera, film.size), film.seed, gain, gamma, rng.uniform(0, 1) * film.noise)


def _background(rng: np.random.Generator, film: SampleFilm, half: tuple[float, float], hue: float) -> Layer:
    photograph = _photograph(rng, film.split)
    height, width = photograph.shape[-2:]
    texel = max(2 * half[0] / width, 2 * half[1] / height) * rng.uniform(1.05, 1.7)
    texture = _shrink(photograph, texel * max(film.size) * _DENSITY)
    saturation, gain = rng.uniform(0.8, 1.5), rng.uniform(0.8, 1.15)
    if rng.random() < 0.5:  # the photograph's own colours, or nearly
        texture = recolour(texture, colour_matrix(rng.normal(0, 0.15), saturation, gain))
    else:
        texture = _two_toned(rng, texture, hue, saturation, gain)
    return Layer(texture, (width * texel / 2, height * texel / 2), PlaneMotion())


def _object(rng: np.random.Generator, film: SampleFilm, half: tuple[float, float], hue: float) -> Layer:
    patch = _patch(rng, _photograph(rng, film.split))
    extent = _MARGIN * 2 * min(half) * rng.uniform(0.1, 0.32)
    texture = _shrink(patch, 2 * extent * max(film.size) * _DENSITY / patch.shape[-1])
    texture = recolour(texture, colour_matrix(hue, rng.uniform(0.9, 1.6), rng.uniform(0.7, 1.2)))
    # A tint, so that even a gray patch differs from its surroundings.
    tint = 0.5 + 0.45 * torch.cos(torch.tensor([0.0, -2.0944, 2.0944]) + hue)
    texture = texture.lerp(tint.view(3, 1, 1), rng.uniform(0.05, 0.4))
    shape = _blob(rng, 2 * extent * max(film.size))
    return Layer(texture, (extent, extent), draw_object(rng, film.motion, half), shape)


def _two_toned(rng: np.random.Generator, image: Tensor, hue: float, saturation: float, gain: float) -> Tensor:
    """Turn the hue by an angle that varies over the image, so that equal grays can have different colours."""
    first = recolour(image, colour_matrix(hue, saturation, gain))
    second = recolour(image, colour_matrix(hue + rng.uniform(0, 2 * math.pi), saturation, gain))
    coarse = torch.from_numpy(rng.normal(0, 2, (1, 1, 3, 4))).float()
    mask = F.interpolate(coarse, image.shape[-2:], mode="bicubic", align_corners=True).sigmoid()[0]
    return first.lerp_(second, mask)


def _photograph(rng: np.random.Generator, split: str) -> Tensor:
    choice = photographs(split)
    return load(choice[int(rng.integers(len(choice)))])


def _patch(rng: np.random.Generator, photograph: Tensor) -> Tensor:
    """Crop the one with the most contrast of three random squares: motion of a uniform one would be invisible."""
    side = int(rng.uniform(0.35, 0.9) * min(photograph.shape[-2:]))
    room = [length - side + 1 for length in photograph.shape[-2:]]
    corners = [(int(rng.integers(room[0])), int(rng.integers(room[1]))) for _ in range(3)]
    squares = [photograph[:, top : top + side, left : left + side] for top, left in corners]
    return max(squares, key=lambda square: float(square[1].std()))


def _shrink(image: Tensor, factor: float) -> Tensor:
    """Shrink (C, H, W) with antialiasing; a factor above 1 leaves it, as sampling enlarges as well."""
    if factor >= 1:
        return image
    size = [max(8, round(length * factor)) for length in image.shape[-2:]]
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def _blob(rng: np.random.Generator, side: float) -> Tensor:
    """Draw a smooth random outline in a square of `side` pixels: distance to it, positive inside, (1, n, n)."""
    texels = max(32, math.ceil(side))
    axis = (torch.arange(texels) + 0.5) * (2 * _MARGIN / texels) - _MARGIN
    y, x = torch.meshgrid(axis, axis * rng.uniform(1.0, 1.8), indexing="ij")
    angle = torch.atan2(y, x)
    outline = torch.full_like(angle, 0.95)
    for lobes, most in ((2, 0.15), (3, 0.15), (5, 0.1), (7, 0.05)):
        outline += rng.uniform(0, most) * torch.cos(lobes * angle + rng.uniform(0, 2 * math.pi))
    return ((outline - torch.hypot(x, y)) * (side / (2 * _MARGIN)))[None]
