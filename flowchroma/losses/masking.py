"""Which pixels can be compared with the frame before, and means over them."""

import torch
from torch import Tensor

from flowchroma.ops import processes
from flowchroma.ops.warp import backward_warp, inside


def masked_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Mean of `error` over the batch's weighted pixels; towards 0 where they weigh less than one pixel together.

    Args:
        error: (B, C, H, W).
        weight: (B, 1, H, W), at least 0.
    """
    weight = weight.to(error)
    return (error * weight).sum() / (judged_weight(weight) * error.shape[1])


def judged_weight(weight: Tensor) -> Tensor:
    """What to divide a weighted sum by, at least 1, a scalar without gradient.

    That is the sum of the weights. Where several processes share the batch it is their mean sum, so that the mean of
    their losses, and so of their gradients, is the loss of the whole batch, however unequal their shares of weight.
    """
    return processes.total(weight.detach().sum()).clamp(min=1) / processes.count()


@torch.no_grad()
def photometric_weight(luma: Tensor, previous_luma: Tensor, flow: Tensor, alpha: float) -> Tensor:
    """How far the luminance bears a flow out: exp(-alpha (L_t - warp(L_{t-1}))^2) with L scaled to [0, 1].

    Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018, section 3.2, on luminance. Places outside the
    previous frame weigh 0. No gradient: a flow must not gain by pointing where it is not judged.

    Args:
        luma: (B, 1, H, W), L in [0, 100], of frame t.
        previous_luma: the same, of frame t - 1.
        flow: (B, 2, H, W), backward.
        alpha: how fast trust falls with the difference; 50 in the paper.

    Returns:
        (B, 1, H, W), in [0, 1].
    """
    difference = (luma.float() - backward_warp(previous_luma, flow)) / 100
    return torch.exp(-alpha * difference.square()) * inside(flow.float())
