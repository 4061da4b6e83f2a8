"""What the terms of a flow share: the robust penalty, the weight of each pixel, and the mean over iterations."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flowchroma.losses.prediction import Prediction, PreviousFrame, UnfitLossError
from flowchroma.ops.warp import points_inside

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
    weight = points_inside(flow.detach())
    if p.estimate is not None and p.estimate.visible is not None:
        weight = weight * p.estimate.visible
    return weight if p.exact is None else torch.where(p.has_exact, p.exact.visible.float(), weight)


class FlowTerm(nn.Module):
    """Mean of a penalty over the iterations of the estimated flow, in float32.

    Iteration i of N weighs gamma^(N - i) (Teed and Deng, RAFT, ECCV 2020, equation 7); the weights are normalised to
    sum 1, so that the figure does not grow with N.

    Args:
        gamma: discount of an iteration against the next.
    """

    def __init__(self, gamma: float = 0.85) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            UnfitLossError: there is no estimated flow, or no previous frame where the penalty reads it.
        """
        penalty = self.penalty(prediction)
        if prediction.estimate is None:
            raise UnfitLossError("a flow loss needs an estimated flow")
        flows = list(prediction.estimate.iterates) or [prediction.estimate.flow]
        weights = [self.gamma ** (len(flows) - 1 - i) for i in range(len(flows))]
        total = torch.stack([weight * penalty(flow.float()) for weight, flow in zip(weights, flows, strict=True)]).sum()
        return total / sum(weights)

    def penalty(self, p: Prediction) -> Callable[[Tensor], Tensor]:
        """A function of flow (B, 2, H, W), in pixels, to a scalar."""
        raise NotImplementedError


def previous_of(p: Prediction, term: str) -> PreviousFrame:
    """The previous frame.

    Raises:
        UnfitLossError: there is none.
    """
    if p.previous is None:
        raise UnfitLossError(f"the flow's {term} loss needs the previous frame")
    return p.previous
