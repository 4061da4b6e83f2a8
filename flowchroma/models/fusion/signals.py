"""What every fusion network reads."""

import torch
from torch import Tensor

from flowchroma.color import scale_ab, scale_luma
from flowchroma.types import Match, Propagation

CHANNELS = 7


def stack(luma: Tensor, propagation: Propagation, found: Match) -> Tensor:
    """Luminance, carried colour and its confidence, matched colour and its similarity: (B, 7, H, W), about [-1, 1]."""
    return torch.cat(
        [
            scale_luma(luma),
            scale_ab(propagation.ab),
            propagation.confidence,
            scale_ab(found.ab),
            found.similarity,
        ],
        dim=1,
    )


def carried_or_matched(propagation: Propagation, found: Match) -> Tensor:
    """The carried colour where there is any, the matched colour elsewhere: (B, 2, H, W)."""
    return torch.where(propagation.confidence > 0, propagation.ab, found.ab)
