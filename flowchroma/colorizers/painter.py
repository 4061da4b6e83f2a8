"""Colours computed small, laid over the untouched full-size luminance."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.color import lab_to_rgb8, lab_to_rgb16, rgb_to_lab, rgb_to_luma
from flowchroma.models.contracts import Colorizer

_CORRECTIONS = 2  # a third gains 0.1 dB


@dataclass(frozen=True)
class GrayFrame:
    """A frame whose colour is to be found."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    small: Tensor  # (B, 1, h, w), the same at the size at which colour is computed
    deep: bool  # of more than 8 bits

    @classmethod
    def of(cls, rgb: Tensor, size: int) -> "GrayFrame":
        """Of (B, 3, H, W) uint8, or float in [0, 1] for one of more than 8 bits."""
        luma = rgb_to_luma(rgb)
        return cls(luma, shrink(luma, size), rgb.dtype != torch.uint8)

    def painted(self, ab: Tensor) -> Tensor:
        """In colours (B, 2, h, w), or (B, 2, H, W): see `lay_over`."""
        return lay_over(self.luma, ab, self.deep)


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
        """Colour the next frame, of which only the luminance is used: (B, 3, H, W) uint8 to the same.

        One of more than 8 bits is given as float in [0, 1], and comes as int32 in [0, 65535].
        """
        frame = GrayFrame.of(rgb, self.size)
        ab, self._state = self.colorizer.step(frame.small, self._state)
        return frame.painted(ab)


class Oracle(Painter):
    """The truth through the painter's own resizing and rounding: the best that any colorizer can reach in it."""

    def __init__(self, size: int) -> None:
        self.size = size

    def start(self, *references: Tensor) -> None:
        """Keeps nothing."""

    def observe(self, rgb: Tensor) -> None:
        """Keeps nothing."""

    def paint(self, rgb: Tensor) -> Tensor:
        """The frame's own colours, made small and large again: (B, 3, H, W) uint8."""
        lab = rgb_to_lab(rgb)
        return lay_over(lab[:, :1], shrink(lab[:, 1:], self.size))


def to_tensor(rgb: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """A frame, (H, W, 3) RGB, as (1, 3, H, W): uint8 as it is, uint16 as float in [0, 1]."""
    if rgb.dtype == np.uint16:
        rgb = rgb.astype(np.float32) / 65535
    return torch.from_numpy(np.ascontiguousarray(rgb)).to(device).permute(2, 0, 1)[None]


def to_array(rgb: Tensor) -> np.ndarray:
    """A painted frame, (1, 3, H, W) uint8 or int32 of 16 bits, as (H, W, 3) uint8 or uint16."""
    whole = rgb[0].permute(1, 2, 0).cpu().numpy()
    return whole if whole.dtype == np.uint8 else whole.astype(np.uint16)


def lay_over(luma: Tensor, ab: Tensor, deep: bool = False) -> Tensor:
    """Enlarge ab (B, 2, h, w) to L (B, 1, H, W): (B, 3, H, W) RGB, uint8, or int32 of 16 bits."""
    lab = torch.cat((luma, enlarge(ab.float(), luma.shape[-2:])), dim=1)
    return lab_to_rgb16(lab) if deep else lab_to_rgb8(lab)


def enlarge(image: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge (B, C, h, w) to `size` so that shrinking gives it back (Irani and Peleg, CVGIP 1991, section 3).

    Bicubic, corrected by what shrinking still misses. Of the truth's chrominance at a quarter of 240p it keeps 40.2 dB
    of RGB on DAVIS val, where bilinear enlargement keeps 37.6.
    """
    height, width = size
    if image.shape[-2:] == (height, width):
        return image
    # All of it is linear: what shrinking misses is found without the enlarged image, which is computed once.
    back, across = (_there_and_back(*sides).to(image) for sides in zip(image.shape[-2:], size, strict=True))
    corrected = image
    for _ in range(_CORRECTIONS):
        corrected = corrected + image - back @ corrected @ across.T
    return _bicubic(corrected, height, width)


@lru_cache(maxsize=8)
def _there_and_back(small: int, large: int) -> Tensor:
    """The matrix (small, small) of one side that is enlarged and shrunk again."""
    with torch.inference_mode(False), torch.no_grad():
        larger = F.interpolate(torch.eye(small)[None, None], (large, small), mode="bicubic")
        return F.interpolate(larger, (small, small), mode="bilinear", antialias=True)[0, 0]


def _bicubic(image: Tensor, height: int, width: int) -> Tensor:
    if image.device.type != "cpu" or image.requires_grad:
        return F.interpolate(image, (height, width), mode="bicubic")
    import cv2

    # The same kernel and the same rule for borders, in a seventh of the time.
    large = image.new_empty(*image.shape[:2], height, width)
    for plane, enlarged in zip(image.flatten(0, 1).numpy(), large.flatten(0, 1).numpy(), strict=True):
        cv2.resize(plane, (width, height), dst=enlarged, interpolation=cv2.INTER_CUBIC)
    return large


def shrink(image: Tensor, size: int) -> Tensor:
    """Resize (B, C, H, W), antialiased, so that its short side is `size`; one that is smaller stays as it is."""
    height, width = image.shape[-2:]
    scale = size / min(height, width)
    if scale >= 1:
        return image
    return F.interpolate(image, (round(height * scale), round(width * scale)), mode="bilinear", antialias=True)
