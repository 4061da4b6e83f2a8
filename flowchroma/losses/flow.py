"""Training flow: towards the exact one where there is one, and by the colour that it carries."""

import torch
from torch import Tensor, nn

from flowchroma.color import scale_ab
from flowchroma.losses.flow_shared import discounted, previous_of, robust, visible_weight
from flowchroma.losses.masking import masked_mean
from flowchroma.losses.prediction import Prediction
from flowchroma.ops.warp import backward_warp


class FlowEndPoint(nn.Module):
    """Mean of |flow - exact flow| in pixels, over both components and the items that have it; 0 where none has.

    Teed and Deng, RAFT, ECCV 2020, equation 7: occluded pixels count too.

    Args:
        gamma: discount of an iteration against the next; the weights are normalised to sum 1.
    """

    def __init__(self, gamma: float = 0.85) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        p = prediction
        if p.exact is None:
            return p.ab.new_zeros((), dtype=torch.float32)
        truth = p.exact.flow.float()
        weight = p.has_exact.expand(-1, 1, *truth.shape[-2:])
        return discounted(p, self.gamma, lambda flow: masked_mean((flow - truth).abs(), weight))


class FlowColor(nn.Module):
    """How far the true ab of frame t - 1, carried along the flow, is from the true ab of frame t.

    Items with exact motion: |difference| / 110 over visible pixels. In the others a difference may be occlusion or an
    error of the flow, and a photometric weight would be 0 at just those pixels whose flow is wrong; their penalty is
    robust instead, (x + 0.01)^0.4 - 0.01^0.4 of x = |difference| / 110 (Liu et al., DDFlow, AAAI 2019, section 3), over
    the pixels whose flow stays within the frame, weighted by the estimated visibility where there is one.

    Args:
        gamma: discount of an iteration against the next; the weights are normalised to sum 1.
    """

    def __init__(self, gamma: float = 0.85) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: there is no previous frame, or no flow.
        """
        p = prediction
        source, target, exact = previous_of(p, "colour").target_ab.float(), p.target_ab.float(), p.has_exact

        def carried(flow: Tensor) -> Tensor:
            error = scale_ab(backward_warp(source, flow) - target).abs()
            return masked_mean(torch.where(exact, error, robust(error)), visible_weight(p, flow))

        return discounted(p, self.gamma, carried)
