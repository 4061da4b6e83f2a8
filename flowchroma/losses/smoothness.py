"""Smoothness of flow, less demanded at edges of the frame's luminance."""

import torch
from torch import Tensor, nn

from flowchroma.errors import UserError
from flowchroma.losses.flow_shared import discounted
from flowchroma.losses.prediction import Prediction

_EPSILON = 0.001  # pixels; makes the penalty differentiable at 0


class FlowSmoothness(nn.Module):
    """Differences of the flow between neighbouring pixels, discounted at edges of the luminance.

    Mean of exp(-edges |dL| / 100) (sqrt(d^2 + 0.001^2) - 0.001) over pixels, components and both directions, d being
    the first or second difference of the flow in pixels and dL that of the luminance over the same span, by pixel
    (Jonschkowski et al., What Matters in Unsupervised Optical Flow, ECCV 2020, section 3). Nothing is masked: where
    there is no exact flow, occluded pixels learn from this term alone.

    Args:
        gamma: discount of an iteration against the next; the weights are normalised to sum 1.
        order: of the difference. Constant flow costs nothing in both; linear flow, of a camera that zooms, in 2 alone.
        edges: how fast the weight falls with the edge; 150 in the paper.

    Raises:
        UserError: an order other than 1 and 2.
    """

    def __init__(self, gamma: float = 0.85, order: int = 1, edges: float = 150.0) -> None:
        super().__init__()
        if order not in (1, 2):
            raise UserError(f"the flow's smoothness has order {order}: give 1 or 2")
        self.gamma, self.order, self.edges = gamma, order, edges

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: there is no estimated flow.
        """
        luma = prediction.luma.float() / 100
        weights = {dim: torch.exp(-self.edges * self._edge(luma, dim)) for dim in (-1, -2)}

        def roughness(flow: Tensor) -> Tensor:
            parts = []
            for dim, weight in weights.items():
                change = flow.diff(n=self.order, dim=dim)
                penalty = weight * ((change.square() + _EPSILON**2).sqrt() - _EPSILON)
                # A frame of one pixel has no neighbours.
                parts.append(penalty.sum() / max(1, penalty.numel()))
            return torch.stack(parts).mean()

        return discounted(prediction, self.gamma, roughness)

    def _edge(self, luma: Tensor, dim: int) -> Tensor:
        """Absolute difference over the span of the flow's, by pixel."""
        length = max(0, luma.shape[dim] - self.order)
        return (luma.narrow(dim, luma.shape[dim] - length, length) - luma.narrow(dim, 0, length)).abs() / self.order
