"""How a training clip is varied: drawn once for a clip, the same for all of its frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.data.clips.geometry import Affine, draw_affine, warp_affine
from flowchroma.data.clips.raw import Looks
from flowchroma.data.clips.recolour import colour_matrix, recolour


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
    """A frame's colour, sharpness and grain, and where its pixels come from."""

    matrix: Tensor  # (3, 3), for `recolour`
    blur: float  # standard deviation, pixels; 0 for none
    noise: float
    warp: Affine | None = None  # None leaves them where they are

    def disturbed(self, rng: np.random.Generator, size: Sequence[int]) -> "Look":
        """Draw the look of a reference that resembles the frame: warped a little and lightly recoloured before."""
        light = colour_matrix(rng.uniform(-0.08, 0.08), rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15))
        return replace(self, matrix=self.matrix @ light, warp=draw_affine(rng, size))


def gather(looks: Sequence[Look], seed: int) -> Looks:
    """Put together the looks of an item's frames and references.

    Args:
        looks: one a frame, then one a reference.
        seed: of their grain.
    """
    return Looks(
        torch.stack([look.matrix for look in looks]),
        [look.blur for look in looks],
        [look.noise for look in looks],
        [look.warp for look in looks],
        seed,
    )


def vary(frames: Tensor, looks: Looks) -> Tensor:
    """Give frames their looks: recolour, warp, blur, and add grain, another on each frame, gray: colour is the truth.

    What an item becomes depends on its own look and seed alone, whatever else is in the batch.

    Args:
        frames: (B, N, 3, H, W), uint8.
        looks: of all N.

    Returns:
        (B, N, 3, H, W), float32, RGB in [0, 1].
    """
    varied = recolour(frames.float().div_(255), looks.colour)
    for item, blur, grain, warps, seed in zip(varied, looks.blur, looks.grain, looks.warp, looks.seed, strict=True):
        for at, warp in enumerate(warps):
            if warp is not None:
                item[at] = warp_affine(item[at], warp)
        for sigma in set(blur) - {0.0}:
            here = [at for at, other in enumerate(blur) if other == sigma]
            item[here] = blurred(item[here], sigma)
        if any(grain):
            generator = torch.Generator(item.device).manual_seed(seed)
            noise = torch.randn(len(item), 1, *item.shape[-2:], generator=generator, device=item.device)
            item += noise.mul_(noise.new_tensor(grain).view(-1, 1, 1, 1))
    return varied.clamp_(0, 1)


def blurred(frames: Tensor, sigma: float) -> Tensor:
    """Blur (N, 3, H, W) with a Gaussian cut off at two standard deviations, borders mirrored."""
    reach = math.ceil(2 * sigma)
    weights = [math.exp(-0.5 * (step / sigma) ** 2) for step in range(-reach, reach + 1)]
    # Sums of shifted frames: on a processor, several times faster than a convolution of three groups.
    for dim, padding in ((-1, (reach, reach, 0, 0)), (-2, (0, 0, reach, reach))):
        size = frames.shape[dim]
        padded = F.pad(frames, padding, mode="reflect")
        frames = padded.narrow(dim, 0, size) * (weights[0] / sum(weights))
        for step, weight in enumerate(weights[1:], 1):
            frames.add_(padded.narrow(dim, step, size), alpha=weight / sum(weights))
    return frames
