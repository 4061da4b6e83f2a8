"""The mean of both colours, weighted by their confidences."""

from torch import Tensor

from flowchroma.models.contracts import Fusion
from flowchroma.models.state import Signals


class PlaceholderFusion(Fusion):
    """confidence * carried + similarity * matched, over the sum of both: the least that a trained fusion must beat."""

    def forward(self, signals: Signals) -> Tensor:
        """Weigh the two colours of a frame.

        Returns:
            (B, 2, H, W), CIELAB units. The matched colour where confidence and similarity are 0.
        """
        propagation, found = signals.propagation, signals.match
        # The small constant decides where both are 0, and nothing else.
        similarity = found.similarity + 1e-6
        total = propagation.confidence + similarity
        return (propagation.confidence * propagation.ab + similarity * found.ab) / total
