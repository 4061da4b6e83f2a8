"""Colours computed small, laid over the untouched full-size luminance."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.models.contracts import Colorizer

_CORRECTIONS = 2  # a third gains 0.1 dB


class Painter:
    """Colours a film of any size, one 8-bit frame after the other.

    Args:
        colorizer: gives the colour; of a frame that is to be painted it sees the luminance alone.
        size: short side in pixels at which colour is computed, at most the film's own.
    """

    def __init__(self, colorizer: Colorizer, size: int) -> None:
        self.colorizer, self.size = colorizer, size
        self._state: Any = None

    def start(self, *references: Tensor) -> None:
        """Begin a film, or a part of one, with references: each (B, 3, h, w) uint8 RGB of any size."""
        self._state = self.colorizer.start(*(shrink(rgb_to_lab(rgb), self.size)[:, None] for rgb in references))

    def observe(self, rgb: Tensor) -> None:
        """Take a frame whose colour is given: (B, 3, H, W) uint8."""
        lab = shrink(rgb_to_lab(rgb), self.size)
        self._state = self.colorizer.observe(lab[:, :1], lab[:, 1:], self._state)

    def paint(self, rgb: Tensor) -> Tensor:
        """Colour the next frame, of which only the luminance is used: (B, 3, H, W) uint8 to the same."""
        luma = rgb_to_lab(rgb)[:, :1]
        ab, self._state = self.colorizer.step(shrink(luma, self.size), self._state)
        return lay_over(luma, ab)


def lay_over(luma: Tensor, ab: Tensor) -> Tensor:
    """Enlarge ab (B, 2, h, w) to L (B, 1, H, W): (B, 3, H, W) uint8 RGB."""
    return lab_to_rgb8(torch.cat((luma, enlarge(ab.float(), luma.shape[-2:])), dim=1))


def enlarge(image: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge (B, C, h, w) to `size` so that shrinking gives it back (Irani and Peleg, CVGIP 1991, section 3).

    Bicubic, corrected by what shrinking still misses. Of the truth's chrominance at a quarter of 240p it keeps 40.2 dB
    of RGB on DAVIS val, where bilinear enlargement keeps 37.6.
    """
    height, width = size
    if image.shape[-2:] == (height, width):
        return image
    large = F.interpolate(image, (height, width), mode="bicubic")
    for _ in range(_CORRECTIONS):
        missed = image - F.interpolate(large, image.shape[-2:], mode="bilinear", antialias=True)
        large = large + F.interpolate(missed, (height, width), mode="bicubic")
    return large


def shrink(image: Tensor, size: int) -> Tensor:
    """Resize (B, C, H, W), antialiased, so that its short side is `size`; one that is smaller stays as it is."""
    height, width = image.shape[-2:]
    scale = size / min(height, width)
    if scale >= 1:
        return image
    return F.interpolate(image, (round(height * scale), round(width * scale)), mode="bilinear", antialias=True)
