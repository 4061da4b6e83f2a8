"""Consistency with the previous frame."""

import torch
from torch import Tensor, nn

from flowchroma.color import scale_ab
from flowchroma.losses.masking import masked_mean, photometric_weight
from flowchroma.losses.prediction import Prediction, PreviousFrame, UnfitLossError
from flowchroma.ops.warp import backward_warp


class Temporal(nn.Module):
    """Weighted mean of |ab_t - warp(ab_{t-1})| / 110, the weight of a pixel being how far frame t - 1 shows it too.

    Lai et al., Learning Blind Video Temporal Consistency, ECCV 2018, section 3.2, on the outputs' chrominance. Items
    with exact motion are warped along it and weighted by its visibility, 0 or 1; the others are warped along the
    estimate and weighted by exp(-alpha (L_t - warp(L_{t-1}))^2), L scaled to [0, 1], and by 0 outside frame t - 1. A
    frame without a previous output gives 0.

    Args:
        alpha: how fast the weight falls with the difference; 50 in the paper.
    """

    def __init__(self, alpha: float = 50.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            UnfitLossError: there is a previous output, but nothing to warp it along.
        """
        p = prediction
        if p.previous is None or p.previous.ab is None:
            return p.ab.new_zeros((), dtype=torch.float32)
        flow, weight = self._motion(p, p.previous)
        carried = backward_warp(p.previous.ab, flow)
        return masked_mean(scale_ab(p.ab.float() - carried).abs(), weight)

    @torch.no_grad()
    def _motion(self, p: Prediction, previous: PreviousFrame) -> tuple[Tensor, Tensor]:
        """The flow to warp along, and each pixel's weight."""
        if p.estimate is None:
            if p.exact is None or not bool(p.has_exact.all()):
                raise UnfitLossError("the temporal loss needs an estimated flow, or exact motion for every item")
            return p.exact.flow.float(), p.exact.visible.float()
        estimate = p.estimate.flow.detach().float()
        weight = photometric_weight(p.luma, previous.luma, estimate, self.alpha)
        if p.exact is None:
            return estimate, weight
        return (
            torch.where(p.has_exact, p.exact.flow.float(), estimate),
            torch.where(p.has_exact, p.exact.visible.float(), weight),
        )
