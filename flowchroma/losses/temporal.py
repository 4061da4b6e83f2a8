"""Consistency with the frame before."""

import torch
from torch import Tensor, nn

from flowchroma.color import scale_ab
from flowchroma.losses.batch import Prediction
from flowchroma.losses.masking import masked_mean, photometric_weight
from flowchroma.ops.warp import backward_warp


class Temporal(nn.Module):
    """Mean of |ab_t - warp(ab_{t-1})| / 110 over the pixels that frame t - 1 shows too.

    Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018, section 3.2, on the outputs' chrominance. Items
    with exact motion are warped along it and judged where it is visible; the others are warped along the estimate and
    weighted by `photometric_weight`. The first frame of a clip gives 0.

    Args:
        alpha: of the photometric weight.
    """

    def __init__(self, alpha: float = 50.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: there is a previous output, but nothing to warp it along.
        """
        p = prediction
        if p.previous_ab is None:
            return p.ab.new_zeros((), dtype=torch.float32)
        flow, weight = self._motion(p)
        carried = backward_warp(p.previous_ab, flow)
        return masked_mean(scale_ab(p.ab.float() - carried).abs(), weight)

    @torch.no_grad()
    def _motion(self, p: Prediction) -> tuple[Tensor, Tensor]:
        """The flow to warp along, and each pixel's weight."""
        estimate, exact = None if p.flow is None else p.flow.detach().float(), p.exact
        if estimate is None or p.previous_luma is None:
            if p.true_flow is None or p.visible is None or not bool(exact.all()):
                raise ValueError("the temporal loss needs flow and previous_luma, or exact motion for every item")
            return p.true_flow.float(), p.visible.float()
        weight = photometric_weight(p.luma, p.previous_luma, estimate, self.alpha)
        if p.true_flow is None or p.visible is None:
            return estimate, weight
        return (
            torch.where(exact, p.true_flow.float(), estimate),
            torch.where(exact, p.visible.float(), weight),
        )
