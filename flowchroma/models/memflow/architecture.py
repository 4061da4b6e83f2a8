"""What the networks of a flow estimator measure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

STRIDE = 8  # pixels a side of a coarse pixel: the strides of an encoder multiply to it


@dataclass(frozen=True)
class Architecture:
    """Widths, depths and kernels of encoders, correlation and update; by default those of the published MemFlow.

    Attributes:
        channels: how often the luminance is repeated (3 fits published RGB weights).
        widths: channels of the encoders' three stages.
        blocks: residual blocks a stage.
        strides: of an encoder's first convolution and of its stages, 8 in all.
        context_norm: normalisation of the context encoder, "batch" or "instance".
        features: channels of the features that are correlated.
        hidden: channels of hidden state, context, motion features and attention.
        levels: scales of the correlation.
        radius: of its lookup, in pixels of each scale.
        motion_widths: channels of the motion encoder: two correlation layers, two flow layers.
        kernels: largest depthwise kernel of motion encoder and flow head, and of the recurrent unit.
        expansion: width of a block's two pointwise feed-forward parts, in multiples of its input's channels.
    """

    channels: int = 3
    widths: Sequence[int] = (64, 96, 128)
    blocks: int = 2
    strides: Sequence[int] = (2, 1, 2, 2)
    context_norm: Literal["batch", "instance"] = "batch"
    features: int = 256
    hidden: int = 128
    levels: int = 4
    radius: int = 4
    motion_widths: Sequence[int] = (256, 192, 128, 64)
    kernels: Sequence[int] = (15, 7)
    expansion: float = 1.5

    def __post_init__(self) -> None:
        numbers = (self.channels, self.blocks, self.features, self.hidden, self.levels, *self.widths, *self.strides)
        if min(*numbers, *self.motion_widths, *self.kernels) < 1 or self.radius < 0 or self.expansion <= 0:
            raise ValueError("a width, depth or size is too small")
        if (len(self.widths), len(self.motion_widths), len(self.kernels)) != (3, 4, 2):
            raise ValueError("there are three widths, four motion_widths and two kernels")
        if len(self.strides) != 4 or math.prod(self.strides) != STRIDE:
            raise ValueError(f"there are four strides, {STRIDE} in all")
        if any(side % 2 == 0 for side in self.kernels):
            raise ValueError("kernels have odd sides")

    @property
    def correlations(self) -> int:
        """Channels of a correlation lookup."""
        return self.levels * (2 * self.radius + 1) ** 2
