"""Positions of a grid as tokens that are compared."""

from torch import Tensor
from torch.nn import functional as F

from flowchroma.types import ReferenceMemory

STRIDE = 4  # of the grid on which frames are matched


def standard(features: Tensor) -> Tensor:
    """Centre over the frame, so that what all positions share does not count, and bring to unit length."""
    return F.normalize(features - features.mean(dim=(2, 3), keepdim=True), dim=1)


def tokens(grid: Tensor) -> Tensor:
    """(B, C, ...) to (B, N, C)."""
    return grid.flatten(2).transpose(1, 2)


def gather(keys: Tensor, lab: Tensor, count: int) -> ReferenceMemory:
    """Make one memory of the references of each item.

    Args:
        keys: (B * R, C, H / 4, W / 4).
        lab: (B * R, 3, H, W), CIELAB.
        count: R.
    """
    colours = F.avg_pool2d(lab[:, 1:], STRIDE)
    together = (x.unflatten(0, (-1, count)).transpose(1, 2) for x in (keys, colours))
    return ReferenceMemory(*(tokens(x) for x in together))
