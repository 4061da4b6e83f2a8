"""A fusion of three colours: carried, matched with the references, matched with frames coloured before."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.color import scale_ab, scale_luma, unscale_ab
from flowchroma.models.fusion.error_model import errors
from flowchroma.models.state import Signals
from flowchroma.types import Match

CHANNELS = 13
_DIFFERENCE = 20.0  # units of L that become 1


class BlendFusion(nn.Module):
    """Weighs three colours against each other at every pixel, and corrects their mixture.

    Untrained, it weighs each colour by the inverse square of the error expected of it (`error_model`). What is
    learnt is where that is wrong: a U-Net with additive skips (Ronneberger et al., MICCAI 2015) over squares of two by
    two pixels reads luminance, the three colours, and all that speaks for each, and changes the logarithms of their
    weights. A softmax makes weights of these, so that colours are chosen rather than made up; a correction of the
    mixture starts at zero.

    Args:
        width: channels at half size; doubled at each of the coarser scales.
        depth: number of times that grid is halved.
    """

    reads_recent = True
    reads_closely = True

    def __init__(self, width: int = 24, depth: int = 3) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2 ** (depth + 1)
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), *_convs(4 * CHANNELS, width, width))
        self.down = nn.ModuleList(_convs(a, b, b) for a, b in pairwise(widths))
        self.lift = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_convs(a, a) for a in widths[:-1])
        self.leave = nn.Conv2d(width, 20, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the colours of a frame: (B, 2, H, W), CIELAB units; any size."""
        carried, match = signals.propagation, signals.match.closest
        recent = nothing_found(match) if signals.recent is None else signals.recent.closest
        now = torch.zeros_like(carried.confidence) if signals.flow is None else signals.flow.confidence
        base = torch.where(carried.confidence > 0, carried.ab, match.ab)
        read = [scale_luma(signals.luma), scale_ab(base), carried.confidence, now]
        for found in (match, recent):
            read += [scale_ab(found.ab), found.similarity, found.difference / _DIFFERENCE]
        x, padding = ops.pad_to_multiple(torch.cat(read, dim=1), self.multiple)
        out = padding.crop(F.pixel_shuffle(self._weigh(x), 2)).float()
        odds = [-2 * error.float().log() for error in errors(signals)]
        weights = torch.softmax(torch.cat(odds, dim=1) + out[:, : len(odds)], dim=1).to(base.dtype)
        colours = torch.stack([base, match.ab, recent.ab][: len(odds)], dim=1)
        mixture = (weights[:, :, None] * colours).sum(dim=1)
        return mixture + unscale_ab(out[:, 3:]).to(base.dtype)

    def _weigh(self, x: Tensor) -> Tensor:
        skips = [self.enter(x)]
        for down in self.down:
            skips.append(down(F.avg_pool2d(skips[-1], 2)))
        x = skips.pop()
        for lift, up in zip(reversed(self.lift), reversed(self.up), strict=True):
            x = up(skips.pop() + F.interpolate(lift(x), scale_factor=2.0, mode="bilinear"))
        return self.leave(x)


def nothing_found(match: Match) -> Match:
    """A match that found nothing of its own, and repeats another's colour."""
    nothing = torch.zeros_like(match.similarity)
    return Match(match.ab, nothing, nothing, match.source)


def _convs(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate"), nn.GELU()]
    return nn.Sequential(*layers)
