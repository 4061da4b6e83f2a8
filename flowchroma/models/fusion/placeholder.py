"""The fusion that learns nothing."""

from torch import Tensor, nn

from flowchroma.types import Match, Propagation


class PlaceholderFusion(nn.Module):
    """Mean of both colours, weighted by their confidences: the floor that a trained fusion must beat."""

    def forward(self, luma: Tensor, propagation: Propagation, found: Match) -> Tensor:
        """Weigh the two colours of a frame.

        Args:
            luma: (B, 1, H, W), L in [0, 100]; not used.
            propagation: colour carried along the flow.
            found: colour matched against the references.

        Returns:
            (B, 2, H, W), CIELAB units. The matched colour where neither is trusted.
        """
        # The small constant decides the case of no trust at all, and nothing else.
        trust = found.similarity + 1e-6
        total = propagation.confidence + trust
        return (propagation.confidence * propagation.ab + trust * found.ab) / total
