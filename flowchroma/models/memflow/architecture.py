"""What the networks of a flow estimator measure."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    context_norm: str = "batch"
    features: int = 256
    hidden: int = 128
    levels: int = 4
    radius: int = 4
    motion_widths: Sequence[int] = (256, 192, 128, 64)
    kernels: Sequence[int] = (15, 7)
    expansion: float = 1.5

    @property
    def correlations(self) -> int:
        """Channels of a correlation lookup."""
        return self.levels * (2 * self.radius + 1) ** 2
