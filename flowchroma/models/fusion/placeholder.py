"""The fusion that learns nothing."""

from torch import Tensor

from flowchroma.models.contracts import Fusion
from flowchroma.models.state import Signals


class PlaceholderFusion(Fusion):
    """Mean of both colours, weighted by their confidences: the floor that a trained fusion must beat."""

    def forward(self, signals: Signals) -> Tensor:
        """Weigh the two colours of a frame.

        Returns:
            (B, 2, H, W), CIELAB units. The matched colour where neither is trusted.
        """
        propagation, found = signals.propagation, signals.match
        # The small constant decides the case of no trust at all, and nothing else.
        trust = found.similarity + 1e-6
        total = propagation.confidence + trust
        return (propagation.confidence * propagation.ab + trust * found.ab) / total
