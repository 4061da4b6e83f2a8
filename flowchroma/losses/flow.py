"""Training flow: towards the exact one where there is one, and by the colour that it carries."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flowchroma.color import scale_ab
from flowchroma.losses.batch import Prediction
from flowchroma.losses.masking import masked_mean
from flowchroma.ops.warp import backward_warp, inside

_ROBUST_EPSILON = 0.01
_ROBUST_POWER = 0.4


class FlowEndPoint(nn.Module):
    """Mean of |flow - exact flow| in pixels, over both components and the items that have it; 0 where none has.

    Teed and Deng, RAFT, ECCV 2020, equation 7: occluded pixels count too. Iteration i of N weighs gamma^(N - i); the
    weights are normalised to sum 1, so that the figure does not grow with N.

    Args:
        gamma: discount of an iteration against the next.
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
        return _discounted(p, self.gamma, lambda flow: masked_mean((flow - truth).abs(), weight))


class FlowColor(nn.Module):
    """How far the true ab of frame t - 1, carried along the flow, is from the true ab of frame t.

    Items with exact motion: |difference| / 110 over visible pixels. The others cannot tell occlusion from error, and a
    photometric weight would silence just those pixels whose flow is wrong; their penalty is robust instead,
    (x + 0.01)^0.4 - 0.01^0.4 of x = |difference| / 110 (Liu et al., DDFlow, AAAI 2019, section 3), over the pixels
    whose flow stays within the frame. Discounted as in `FlowEndPoint`.

    Args:
        gamma: discount of an iteration against the next.
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
            weight = inside(flow.detach())
            if p.visible is not None:
                weight = torch.where(exact, p.visible.float(), weight)
            return masked_mean(torch.where(exact, error, _robust(error)), weight)

        return _discounted(p, self.gamma, carried)


def _robust(error: Tensor) -> Tensor:
    return (error + _ROBUST_EPSILON) ** _ROBUST_POWER - _ROBUST_EPSILON**_ROBUST_POWER


def _discounted(p: Prediction, gamma: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean of `loss` over the iterations, later ones weighing more."""
    flows = list(p.iterates) or ([] if p.flow is None else [p.flow])
    if not flows:
        raise ValueError("a flow loss needs flow or iterates")
    weights = [gamma ** (len(flows) - 1 - i) for i in range(len(flows))]
    total = torch.stack([weight * loss(flow.float()) for weight, flow in zip(weights, flows, strict=True)]).sum()
    return total / sum(weights)
