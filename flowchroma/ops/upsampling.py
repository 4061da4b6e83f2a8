"""From the flow network's coarse grid to pixels."""

import torch
from torch import Tensor
from torch.nn import functional as F


def convex_upsample(flow: Tensor, weights: Tensor, factor: int = 8) -> Tensor:
    """Enlarge a flow; each fine pixel is a convex combination of its nine coarse neighbours (RAFT, section 3.3).

    Args:
        flow: (B, 2, h, w), in coarse pixels.
        weights: (B, 9, factor, factor, h, w), in [0, 1], summing to 1 over the nine.
        factor: enlargement.

    Returns:
        (B, 2, h * factor, w * factor), in fine pixels.
    """
    batch, _, height, width = flow.shape
    padded = F.pad(factor * flow, (1, 1, 1, 1))
    fine = flow.new_zeros(1, 1, 1, 1, 1, 1)
    for index in range(9):
        top, left = divmod(index, 3)
        neighbour = padded[..., top : top + height, left : left + width]
        fine = torch.addcmul(fine, neighbour[:, :, None, None], weights[:, None, index])
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, height * factor, width * factor)
