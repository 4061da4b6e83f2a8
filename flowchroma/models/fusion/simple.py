"""A few convolutions that weigh two colours: the carried one, and the best of what was matched."""

import torch
from torch import Tensor, nn

from flowchroma.color import scale_ab, scale_luma
from flowchroma.models.contracts import Fused, Fusion
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.fusion.inputs import CHANNELS, LARGEST_CHANGE, smoothed
from flowchroma.models.fusion.inverse_variance import candidate_colours, propagated_rule
from flowchroma.models.state import Signals


class SimpleFusion(Fusion):
    """Four convolutions, 7 channels in, 2 out; at width 56, 48,554 parameters.

    They read luminance, the carried colour and the confidence in it, the matched colours as one, weighed by their
    expected errors, and the confidence in that. They give changes of the logarithms of the carried colour's weight and
    of the expected error of the mixture. Both start at zero: an untrained network is `InverseVarianceFusion` with the
    look at the carried colour's origin. Half of what is shown is the mean of 3 x 3 pixels; what is shown is not carried
    on: see `propagated_rule`.

    Args:
        width: channels of the hidden layers; the last has four sevenths of it.
        error_model: gives the expected errors; None takes the defaults of `ErrorModel`.
    """

    reads_recent = True
    reads_votes = True
    reads_origin = True
    propagates_rule = True

    def __init__(self, width: int = 56, error_model: ErrorModel | None = None) -> None:
        super().__init__(error_model)
        narrow = width * 4 // 7
        self.layers = nn.Sequential(
            nn.Conv2d(CHANNELS, width, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(width, narrow, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
        )
        self.changes = nn.Conv2d(narrow, 2, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.changes.weight)
        assert self.changes.bias is not None
        nn.init.zeros_(self.changes.bias)

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the colours of a frame: (B, 2, H, W), CIELAB units."""
        return self.fuse(signals).ab

    def fuse(self, signals: Signals) -> Fused:
        """See `Fusion.fuse`; the confidence is learnt."""
        model = self.error_model
        carried, match, recent = candidate_colours(signals)
        path, found, before = model.all_errors(signals).split(1, dim=1)
        share = torch.sigmoid(2 * (before.log() - found.log())).to(match.ab.dtype)
        matched = share * match.ab + (1 - share) * recent.ab
        error = (found.square().reciprocal() + before.square().reciprocal()).rsqrt()
        confidences = [model.confidence_of(one) for one in (path, error)]
        read = [scale_luma(signals.luma), scale_ab(carried), confidences[0], scale_ab(matched), confidences[1]]
        changes = self.changes(self.layers(torch.cat([x.to(carried.dtype) for x in read], dim=1))).float()
        odds, more = changes.clamp(-LARGEST_CHANGE, LARGEST_CHANGE).split(1, dim=1)
        weight = torch.sigmoid(2 * (error.log() - path.log()) + odds)
        expected = (path.square().reciprocal() + error.square().reciprocal()).rsqrt() * more.exp()
        ab = smoothed(weight * carried + (1 - weight) * matched, 0.5).to(carried.dtype)
        confidence = model.confidence_of(expected.clamp(model.least, model.most))
        return Fused(ab, confidence, propagated=propagated_rule(signals, model))
