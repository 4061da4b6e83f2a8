"""What the fusion networks share: convolutions, and what those of two colours read."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from flowchroma import ops
from flowchroma.color import scale_ab, scale_luma
from flowchroma.models.state import Signals

CHANNELS = 7
LUMA_SCALE = 20.0  # units of L between two places that become 1
DISTANCE_SCALE = 10.0  # CIELAB units between two colours that become 1
LARGEST_CHANGE = 4.0  # of the logarithm of an expected error, or of a weight


def stack_inputs(signals: Signals) -> Tensor:
    """Luminance, carried colour and its confidence, matched colour and its similarity: (B, 7, H, W), about [-1, 1]."""
    propagation, found = signals.propagation, signals.match
    return torch.cat(
        [
            scale_luma(signals.luma),
            scale_ab(propagation.ab),
            propagation.confidence,
            scale_ab(found.ab),
            found.similarity,
        ],
        dim=1,
    )


def carried_or_matched(signals: Signals) -> Tensor:
    """The carried colour where there is any, the matched colour elsewhere: (B, 2, H, W)."""
    return torch.where(signals.propagation.confidence > 0, signals.propagation.ab, signals.match.ab)


def convs(*widths: int) -> nn.Sequential:
    """Convolutions of 3x3, each with GELU, between these numbers of channels."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate"), nn.GELU()]
    return nn.Sequential(*layers)


def smoothed(ab: Tensor, share: Tensor | float) -> Tensor:
    """Some of the mean of 3 x 3 pixels, by its share in [0, 1], in a colour (B, 2, H, W).

    Pixels that are matched one by one err one by one, while true chrominance changes little from one to the next.
    """
    return ab + share * (ops.window_mean(ab, 1) - ab)
