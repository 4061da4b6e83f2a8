"""A U-Net that weighs the two colours and corrects their mixture."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import unscale_ab
from flowchroma.models.contracts import Fusion
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.fusion.inputs import CHANNELS, carried_or_matched, convs, stack_inputs
from flowchroma.models.state import Signals


class UNetFusion(Fusion):
    """Encoder and decoder with skips (Ronneberger et al., MICCAI 2015), 7 channels in.

    Three come out: how much of the matched colour replaces the carried one, and a correction of ab. Where nothing could
    be carried the mixture is the matched colour alone.

    Args:
        width: channels at full size; doubled at each of the coarser scales.
        depth: number of times the grid is halved.
        error_model: gives the confidence that colour is carried with; None takes the defaults of `ErrorModel`.
    """

    def __init__(self, width: int = 24, depth: int = 3, error_model: ErrorModel | None = None) -> None:
        super().__init__(error_model)
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2**depth
        self.enter = convs(CHANNELS, width, width)
        self.down = nn.ModuleList(convs(a, b, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(convs(a + b, a, a) for b, a in pairwise(widths[::-1]))
        self.leave = nn.Conv2d(width, 3, 1)
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        # Untrained, the carried colour weighs about nine tenths.
        self.leave.bias.data.copy_(torch.tensor([-2.0, 0.0, 0.0]))

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the two colours of a frame: (B, 2, H, W), CIELAB units; any size."""
        x, padding = ops.pad_to_multiple(stack_inputs(signals), self.multiple)
        skips = [self.enter(x)]
        for layer in self.down:
            skips.append(layer(F.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for layer in self.up:
            x = layer(torch.cat([skips.pop(), F.interpolate(x, scale_factor=2.0, mode="bilinear")], dim=1))
        out = padding.crop(self.leave(x)).float()
        base, correction = carried_or_matched(signals), unscale_ab(out[:, 1:])
        return torch.lerp(base, signals.match.ab, torch.sigmoid(out[:, :1]).to(base.dtype)) + correction.to(base.dtype)
