"""Augmentation of training clips: drawn once for a clip, the same for all of its frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.data.clips.geometry import Affine, draw_affine, warp_affine
from flowchroma.data.clips.raw import ClipVariation
from flowchroma.data.recolour import colour_matrix, recolour


@dataclass(frozen=True)
class Augmentation:
    """The ranges that training clips are augmented in.

    Args:
        crop_scale: least and most side of the crop, of the largest that fits the frame.
        flip: probability of swapping left and right.
        reverse: probability of running backward; never done to films with exact flow.
        hue: largest turn of the hue, radians.
        saturation: largest relative change of chrominance.
        brightness: largest relative change of brightness.
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

    def draw(self, rng: np.random.Generator) -> "FrameVariation":
        """Draw the colour, blur and grain of one clip."""
        colour = colour_matrix(
            rng.uniform(-self.hue, self.hue),
            1 + rng.uniform(-self.saturation, self.saturation),
            1 + rng.uniform(-self.brightness, self.brightness),
        )
        blur = rng.uniform(0.3, 1.0) if rng.random() < self.blur else 0.0
        return FrameVariation(colour, blur, rng.uniform(0, 1) * self.noise)


@dataclass(frozen=True)
class FrameVariation:
    """The augmentation of one frame."""

    colour: Tensor  # (3, 3), for `recolour`
    blur: float  # standard deviation, pixels; 0 for none
    grain: float  # standard deviation, of RGB in [0, 1]
    warp: Affine | None = None  # None for no warp

    def perturbed(self, rng: np.random.Generator, size: Sequence[int]) -> "FrameVariation":
        """Draw the variation of an augmented reference: this one, with a slight recolouring before it and a warp."""
        change = colour_matrix(rng.uniform(-0.08, 0.08), rng.uniform(0.85, 1.15), rng.uniform(0.85, 1.15))
        return replace(self, colour=self.colour @ change, warp=draw_affine(rng, size))


def stack_variations(variations: Sequence[FrameVariation], seed: int) -> ClipVariation:
    """Put together the variations of an item.

    Args:
        variations: one a frame, then one a reference.
        seed: of their grain.
    """
    return ClipVariation(
        torch.stack([variation.colour for variation in variations]),
        [variation.blur for variation in variations],
        [variation.grain for variation in variations],
        [variation.warp for variation in variations],
        seed,
    )


def apply_variation(frames: Tensor, variation: ClipVariation) -> Tensor:
    """Recolour, warp and blur frames, and add grain: gray, so that it changes no chrominance, and new on each frame.

    The result for an item depends on its own variation alone, whatever else is in the batch.

    Args:
        frames: (B, N, 3, H, W), uint8.
        variation: of all N.

    Returns:
        (B, N, 3, H, W), float32, RGB in [0, 1].
    """
    varied = recolour(frames.float().div_(255), variation.colour)
    parameters = zip(varied, variation.blur, variation.grain, variation.warp, variation.seed, strict=True)
    for item, blur, grain, warps, seed in parameters:
        for index, warp in enumerate(warps):
            if warp is not None:
                item[index] = warp_affine(item[index], warp)
        for sigma in set(blur) - {0.0}:
            chosen = [index for index, other in enumerate(blur) if other == sigma]
            item[chosen] = blurred(item[chosen], sigma)
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
