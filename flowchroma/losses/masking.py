"""Weights of pixels in a comparison with the previous frame, and means over them."""

import torch
from torch import Tensor

from flowchroma import processes
from flowchroma.ops.warp import backward_warp, points_inside


def masked_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Mean of errors (B, C, H, W) by weights (B, 1, H, W) of at least 0: sum(w error) / (C max(1, sum w)), a scalar."""
    weight = weight.to(error)
    return (error * weight).sum() / (total_weight(weight) * error.shape[1])


def total_weight(weight: Tensor) -> Tensor:
    """max(1, sum of the weights), to divide a weighted sum by; a scalar without gradient.

    Of several processes it is the sum over all of them divided by their number, so that the mean of their losses, and
    so of their gradients, is that of the whole batch, however unequal their sums.
    """
    return processes.all_reduce_sum(weight.detach().sum()).clamp(min=1) / processes.world_size()


@torch.no_grad()
def photometric_weight(luma: Tensor, previous_luma: Tensor, flow: Tensor, alpha: float) -> Tensor:
    """exp(-alpha (L_t - warp(L_{t-1}))^2) with L scaled to [0, 1]: near 1 where the flow explains the luminance.

    Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018, section 3.2, on luminance. Places outside the
    previous frame weigh 0. No gradient: else the loss could be lowered by a flow to places of little weight.

    Args:
        luma: (B, 1, H, W), L in [0, 100], of frame t.
        previous_luma: the same, of frame t - 1.
        flow: (B, 2, H, W), backward.
        alpha: how fast the weight falls with the difference; 50 in the paper.

    Returns:
        (B, 1, H, W), in [0, 1].
    """
    difference = (luma.float() - backward_warp(previous_luma, flow)) / 100
    return torch.exp(-alpha * difference.square()) * points_inside(flow.float())
