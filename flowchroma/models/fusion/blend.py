"""A fusion of three colours: carried, matched with the references, matched with frames coloured before."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import scale_ab, scale_luma, unscale_ab
from flowchroma.models.contracts import Fusion
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.fusion.inputs import convs
from flowchroma.models.fusion.inverse_variance import InverseVarianceFusion, candidate_colours
from flowchroma.models.state import Signals

CHANNELS = 13
_DIFFERENCE = 20.0  # units of L that become 1


class BlendFusion(Fusion):
    """`InverseVarianceFusion` with weights that a network changes, and a correction of their mixture.

    A U-Net with additive skips (Ronneberger et al., MICCAI 2015) over squares of two by two pixels reads luminance, the
    three colours, and what is known of each, and changes the logarithms of their weights. Softmax keeps the mixture
    within the colours that were found. Both the changes and the correction start at zero.

    Args:
        width: channels at half size; doubled at each of the coarser scales.
        depth: number of times that grid is halved.
        error_model: gives the expected errors; None takes the shipped constants.
    """

    reads_recent = True
    reads_votes = True

    def __init__(self, width: int = 24, depth: int = 3, error_model: ErrorModel | None = None) -> None:
        super().__init__(error_model)
        self.untrained = InverseVarianceFusion(self.error_model)
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2 ** (depth + 1)
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), *convs(4 * CHANNELS, width, width))
        self.down = nn.ModuleList(convs(a, b, b) for a, b in pairwise(widths))
        self.lift = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(convs(a, a) for a in widths[:-1])
        self.leave = nn.Conv2d(width, 20, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the colours of a frame: (B, 2, H, W), CIELAB units; any size."""
        x, padding = ops.pad_to_multiple(_read(signals), self.multiple)
        out = padding.crop(F.pixel_shuffle(self._changes(x), 2)).float()
        mixture = self.untrained.weigh(signals, out[:, :3])
        return mixture + unscale_ab(out[:, 3:]).to(mixture.dtype)

    def _changes(self, x: Tensor) -> Tensor:
        skips = [self.enter(x)]
        for down in self.down:
            skips.append(down(F.avg_pool2d(skips[-1], 2)))
        x = skips.pop()
        for lift, up in zip(reversed(self.lift), reversed(self.up), strict=True):
            x = up(skips.pop() + F.interpolate(lift(x), scale_factor=2.0, mode="bilinear"))
        return self.leave(x)


def _read(signals: Signals) -> Tensor:
    """What the network reads, (B, 13, H, W), about [-1, 1]."""
    carried = signals.propagation.confidence
    base, *matches = candidate_colours(signals)
    now = torch.zeros_like(carried) if signals.flow is None else signals.flow.confidence
    read = [scale_luma(signals.luma), scale_ab(base), carried, now]
    for found in matches:
        read += [scale_ab(found.ab), found.similarity, found.difference / _DIFFERENCE]
    return torch.cat(read, dim=1)
