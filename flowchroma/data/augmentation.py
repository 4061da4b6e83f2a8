"""How a training clip is varied: drawn once for a clip, the same for all of its frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flowchroma.data.geometry import draw_affine
from flowchroma.data.recolour import colour_matrix, recolour


@dataclass(frozen=True)
class Augmentation:
    """The ranges that training clips are varied in.

    Args:
        crop_scale: least and most side of the crop, of the largest that fits the frame.
        flip: probability of swapping left and right.
        reverse: probability of running backward; never done to films that know their flow.
        hue: most turn of the hue, radians.
        saturation: most relative change of chrominance.
        brightness: most relative change of light.
        blur: probability of a mild blur.
        noise: largest standard deviation of added grain, of RGB in [0, 1].
    """

    crop_scale: Sequence[float] = (0.7, 1.0)
    flip: float = 0.5
    reverse: float = 0.3
    hue: float = 0.15
    saturation: float = 0.3
    brightness: float = 0.15
    blur: float = 0.1
    noise: float = 0.01

    def draw(self, rng: np.random.Generator) -> "Look":
        """Draw how one clip looks."""
        matrix = colour_matrix(
            rng.uniform(-self.hue, self.hue),
            1 + rng.uniform(-self.saturation, self.saturation),
            1 + rng.uniform(-self.brightness, self.brightness),
        )
        blur = rng.uniform(0.3, 1.0) if rng.random() < self.blur else 0.0
        return Look(matrix, blur, rng.uniform(0, 1) * self.noise)


@dataclass(frozen=True)
class Look:
    """A clip's colour, sharpness and grain."""

    matrix: Tensor  # (3, 3), for `recolour`
    blur: float  # standard deviation, pixels; 0 for none
    noise: float

    def tone(self, frames: Tensor) -> Tensor:
        """Recolour and blur (N, 3, H, W) RGB in [0, 1]."""
        frames = recolour(frames, self.matrix)
        return _blurred(frames, self.blur) if self.blur else frames

    def grain(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """Add grain to (N, 3, H, W), another on each frame, gray: colour is the truth to be learnt."""
        if not self.noise:
            return frames
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise = torch.randn(frames.shape[0], 1, *frames.shape[2:], generator=generator)
        return frames + self.noise * noise


def disturb(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Make a reference (3, H, W) that resembles the image: warped a little and lightly recoloured."""
    matrix = colour_matrix(rng.uniform(-0.08, 0.08), rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15))
    return recolour(draw_affine(rng, image), matrix)


def _blurred(frames: Tensor, sigma: float) -> Tensor:
    from torchvision.transforms.v2.functional import gaussian_blur

    return gaussian_blur(frames, [2 * math.ceil(2 * sigma) + 1] * 2, [sigma] * 2)
