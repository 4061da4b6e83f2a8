"""What the terms of a flow share: the penalty, the pixels that are judged, and the mean over iterations."""

from collections.abc import Callable

import torch
from torch import Tensor

from flowchroma.losses.batch import Prediction
from flowchroma.ops.warp import inside

_EPSILON = 0.01
_POWER = 0.4


def robust(error: Tensor) -> Tensor:
    """(x + 0.01)^0.4 - 0.01^0.4 of errors of at least 0: 0 at 0, flat where large (Liu et al., DDFlow, AAAI 2019)."""
    return (error + _EPSILON) ** _POWER - _EPSILON**_POWER


def judged(p: Prediction, flow: Tensor) -> Tensor:
    """Where appearance can judge `flow`: (B, 1, H, W), in [0, 1], without gradient.

    That is `visible` of items with exact motion. The others are judged where the flow stays within the frame and, if
    the prediction has it, by `seen`.
    """
    weight = inside(flow.detach())
    if p.seen is not None:
        weight = weight * p.seen
    return weight if p.visible is None else torch.where(p.exact, p.visible.float(), weight)


def discounted(p: Prediction, gamma: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean of `loss` over the iterations, in float32.

    Iteration i of N weighs gamma^(N - i) (Teed and Deng, RAFT, ECCV 2020, equation 7); the weights are normalised to
    sum 1, so that the figure does not grow with N.
    """
    flows = list(p.iterates) or ([] if p.flow is None else [p.flow])
    if not flows:
        raise ValueError("a flow loss needs flow or iterates")
    weights = [gamma ** (len(flows) - 1 - i) for i in range(len(flows))]
    total = torch.stack([weight * loss(flow.float()) for weight, flow in zip(weights, flows, strict=True)]).sum()
    return total / sum(weights)


def frames_of(p: Prediction, term: str) -> tuple[Tensor, Tensor]:
    """Luminance of frame t and of frame t - 1, each (B, 1, H, W), float32, L in [0, 100].

    Raises:
        ValueError: the luminance of the frame before is missing.
    """
    if p.previous_luma is None:
        raise ValueError(f"the flow's {term} loss needs previous_luma")
    return p.luma.float(), p.previous_luma.float()
