"""Clips as workers hand them over, before augmentation and conversion to CIELAB."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from flowchroma.types import Movable


@dataclass(frozen=True)
class ClipVariation(Movable):
    """The augmentation drawn for a clip's T frames, and after them its R references; applied on the training device.

    That of a single item has no leading B.
    """

    colour: Tensor  # (B, T + R, 3, 3), for `flowchroma.data.recolour.recolour`
    # Lists of numbers that stay in the host's memory.
    blur: Sequence[Any]  # (B, T + R), standard deviation, pixels; 0 for none
    grain: Sequence[Any]  # (B, T + R), standard deviation, of RGB in [0, 1]
    warp: Sequence[Any]  # (B, T + R), None or an affine map, for `flowchroma.data.clips.geometry.warp_affine`
    seed: Any  # (B,), of the grain


@dataclass(frozen=True)
class RawClip(Movable):
    """A clip as workers hand it over: 8-bit RGB, to be augmented and converted to CIELAB on the device.

    A single item has no leading B.
    """

    rgb: Tensor  # (B, T, 3, H, W), uint8
    references: Tensor  # (B, R, 3, H, W), uint8
    # Both None in a batch of clips whose flow is unknown.
    flow: Tensor | None  # (B, T - 1, 2, H, W), float32, pixels, backward (frame t to t - 1); 0 where unknown
    visible: Tensor | None  # (B, T - 1, 1, H, W), bool: the pixel of frame t is also in frame t - 1; False if unknown
    has_flow: Tensor  # (B,), bool: flow and visible are exact
    starts_coloured: Tensor  # (B,), bool: the first reference is frame 0 itself, so its colour is known
    # (B,), bool: a reference is of the clip's own film, so that the film's colours can be found there
    own_colours: Tensor = field(default_factory=lambda: torch.tensor(True))
    names: Sequence[str] = ()  # B: the film and the frames of each item
    skipped: Sequence[str] = ()  # "name: reason" of each film that could not be read and was replaced
    variation: ClipVariation | None = None  # None for no augmentation
