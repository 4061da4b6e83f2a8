"""What the terms of a flow share: the penalty, the weight of each pixel, and the mean over iterations."""

from collections.abc import Callable

import torch
from torch import Tensor

from flowchroma.losses.prediction import Prediction, PreviousFrame
from flowchroma.ops.warp import inside

_EPSILON = 0.01
_POWER = 0.4


def robust(error: Tensor) -> Tensor:
    """(x + 0.01)^0.4 - 0.01^0.4 of errors of at least 0: 0 at 0, flat where large (Liu et al., DDFlow, AAAI 2019)."""
    return (error + _EPSILON) ** _POWER - _EPSILON**_POWER


def visible_weight(p: Prediction, flow: Tensor) -> Tensor:
    """How far a pixel of frame t is also in frame t - 1: (B, 1, H, W), in [0, 1], without gradient.

    That is `exact.visible` of items with exact motion; of the others `estimate.visible` (1 where there is none), and 0
    where `flow` leaves the frame.
    """
    weight = inside(flow.detach())
    if p.estimate is not None and p.estimate.visible is not None:
        weight = weight * p.estimate.visible
    return weight if p.exact is None else torch.where(p.has_exact, p.exact.visible.float(), weight)


def discounted(p: Prediction, gamma: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean of `loss` over the iterations, in float32.

    Iteration i of N weighs gamma^(N - i) (Teed and Deng, RAFT, ECCV 2020, equation 7); the weights are normalised to
    sum 1, so that the figure does not grow with N.

    Raises:
        ValueError: there is no estimated flow.
    """
    if p.estimate is None:
        raise ValueError("a flow loss needs an estimated flow")
    flows = list(p.estimate.iterates) or [p.estimate.flow]
    weights = [gamma ** (len(flows) - 1 - i) for i in range(len(flows))]
    total = torch.stack([weight * loss(flow.float()) for weight, flow in zip(weights, flows, strict=True)]).sum()
    return total / sum(weights)


def previous_of(p: Prediction, term: str) -> PreviousFrame:
    """The previous frame.

    Raises:
        ValueError: there is none.
    """
    if p.previous is None:
        raise ValueError(f"the flow's {term} loss needs the previous frame")
    return p.previous
