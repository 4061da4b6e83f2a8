"""The fusions that learn nothing: colours weighed by their expected errors, or by their bare confidences."""

from dataclasses import replace

import torch
from torch import Tensor

from flowchroma.models.contracts import Fused, Fusion
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.state import Signals
from flowchroma.types import Match


class InverseVarianceFusion(Fusion):
    """Mean of three colours: carried, matched with the references, matched with frames coloured before.

    Each is weighed by the inverse square of its expected error, the best linear estimate from independent ones (Kalman,
    1960). Where nothing was carried the matched colour stands in for the carried one. No parameters.

    Args:
        error_model: gives the expected errors; None takes the defaults of `ErrorModel`.
    """

    reads_recent = True
    reads_votes = True

    def forward(self, signals: Signals) -> Tensor:
        """Weigh the colours of a frame: (B, 2, H, W), CIELAB units; any size."""
        return self.weigh(signals)

    def fuse(self, signals: Signals) -> Fused:
        """See `Fusion.fuse`."""
        ab, weights = self._weigh(signals)
        return Fused(ab, self.error_model.fused_confidence(signals), weights[:, :1])

    def weigh(self, signals: Signals, change: Tensor | None = None) -> Tensor:
        """The weighted mean; `change` (B, 3, H, W) is added to the logarithms of the weights, before softmax."""
        return self._weigh(signals, change)[0]

    def _weigh(self, signals: Signals, change: Tensor | None = None) -> tuple[Tensor, Tensor]:
        odds = -2 * self.error_model.all_errors(signals).log()
        if change is not None:
            odds = odds + change
        base, match, recent = candidate_colours(signals)
        weights = torch.softmax(odds, dim=1).to(base.dtype)
        colours = torch.stack([base, match.ab, recent.ab], dim=1)
        return (weights[:, :, None] * colours).sum(dim=1), weights


class PlaceholderFusion(Fusion):
    """confidence * carried + similarity * matched, over the sum of both: the least that a trained fusion must beat."""

    def forward(self, signals: Signals) -> Tensor:
        """Weigh the two colours of a frame: (B, 2, H, W), CIELAB units; the matched one where both weigh 0."""
        propagation, found = signals.propagation, signals.match
        # The small constant decides where both are 0, and nothing else.
        similarity = found.similarity + 1e-6
        total = propagation.confidence + similarity
        return (propagation.confidence * propagation.ab + similarity * found.ab) / total


def propagated_rule(signals: Signals, error_model: ErrorModel) -> Fused:
    """What a learnt fusion leaves to the next frame: colours weighed by expected errors, without a look at origins.

    What a network makes of a frame would come back to it by way of the next ones, and its mistakes with it; so it is
    shown and not carried on. Rollouts of the untrained rule are then what the network meets however it is trained.
    """
    return InverseVarianceFusion(error_model).fuse(replace(signals, origin=None))


def candidate_colours(signals: Signals) -> tuple[Tensor, Match, Match]:
    """The carried ab, or the matched one where nothing was carried, and both matches at their finest.

    The match with frames coloured before repeats the other's colour, at similarity 0, where there are none.
    """
    match = signals.match.finest
    base = torch.where(signals.propagation.confidence > 0, signals.propagation.ab, match.ab)
    if signals.recent is not None:
        return base, match, signals.recent.finest
    nothing = torch.zeros_like(match.similarity)
    return base, match, Match(match.ab, nothing, nothing, match.source)
