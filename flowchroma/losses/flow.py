"""Training flow: towards the exact one where there is one, and by the colour that it carries."""

import torch
from torch import Tensor, nn

from flowchroma.color import scale_ab
from flowchroma.losses.batch import Prediction
from flowchroma.losses.flow_shared import discounted, judged, robust
from flowchroma.losses.masking import masked_mean
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
        if p.true_flow is None:
            return p.ab.new_zeros((), dtype=torch.float32)
        truth = p.true_flow.float()
        weight = p.exact.expand(-1, 1, *truth.shape[-2:])
        return discounted(p, self.gamma, lambda flow: masked_mean((flow - truth).abs(), weight))


class FlowColor(nn.Module):
    """How far the true ab of frame t - 1, carried along the flow, is from the true ab of frame t.

    Items with exact motion: |difference| / 110 over visible pixels. The others cannot tell occlusion from error, and a
    photometric weight would silence just those pixels whose flow is wrong; their penalty is robust instead,
    (x + 0.01)^0.4 - 0.01^0.4 of x = |difference| / 110 (Liu et al., DDFlow, AAAI 2019, section 3), over the pixels
    whose flow stays within the frame, and of these those that are `seen` where that is estimated.

    Args:
        gamma: see `FlowEndPoint`.
    """

    def __init__(self, gamma: float = 0.85) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: the true colour of the frame before is missing.
        """
        p = prediction
        if p.previous_target_ab is None:
            raise ValueError("the flow's colour loss needs previous_target_ab")
        source, target, exact = p.previous_target_ab.float(), p.target_ab.float(), p.exact

        def carried(flow: Tensor) -> Tensor:
            error = scale_ab(backward_warp(source, flow) - target).abs()
            return masked_mean(torch.where(exact, error, robust(error)), judged(p, flow))

        return discounted(p, self.gamma, carried)
