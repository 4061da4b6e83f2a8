"""Positions of a grid as tokens, in two orders."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.models.state import ReferenceMemory

STRIDE = 4  # of the grid on which frames are matched


def normalized(features: Tensor) -> Tensor:
    """Less their mean over the frame, and of unit length over the channels; for cosine similarity."""
    return F.normalize(features - features.mean(dim=(2, 3), keepdim=True), dim=1)


def tokens(grid: Tensor) -> Tensor:
    """(B, C, ...) to (B, N, C), row by row."""
    return grid.flatten(2).transpose(1, 2)


def to_cells(grid: Tensor) -> Tensor:
    """(B, C, H, W), sides even, to (B, H W, C): the four positions of each square of two by two follow one another.

    What has channels last in memory is copied by whole positions, in a fraction of the time.
    """
    squares = grid.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3)
    return squares.flatten(1, 4)


def from_cells(found: Tensor, grid: Sequence[int]) -> Tensor:
    """(B, H W, C) in the order of `to_cells` back to (B, C, H, W), given H and W."""
    squares = found.unflatten(1, (grid[0] // 2, grid[1] // 2, 2, 2)).transpose(2, 3)
    return squares.reshape(len(found), *grid, -1).permute(0, 3, 1, 2)


def reference_memory(
    keys: Tensor, lab: Tensor, count: int, order: Callable[[Tensor], Tensor] = tokens
) -> ReferenceMemory:
    """Make one memory of each item's R = `count` references: keys (B * R, C, H / 4, W / 4), lab (B * R, 3, H, W).

    An image's positions are in the order of `tokens` or `to_cells`.
    """
    colours = F.avg_pool2d(lab, STRIDE)
    encoded, colour = (order(x).unflatten(0, (-1, count)).flatten(1, 2) for x in (keys, colours))
    image = torch.arange(count, device=keys.device).repeat_interleave(keys.shape[-2] * keys.shape[-1])
    return ReferenceMemory(encoded, colour, image)
