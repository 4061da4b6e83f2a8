"""From the flow network's coarse grid to pixels."""

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
    neighbours = F.unfold(factor * flow, kernel_size=3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    fine = (weights[:, None] * neighbours).sum(2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, height * factor, width * factor)
