"""A fusion that also asks whether carried colour still belongs where it was carried to."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flowchroma.color import chroma_distance, scale_ab, scale_luma
from flowchroma.models.contracts import Fused, Fusion
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.fusion.additive_unet import AdditiveUNet
from flowchroma.models.fusion.inputs import DISTANCE_SCALE, LARGEST_CHANGE, LUMA_SCALE, smoothed
from flowchroma.models.fusion.inverse_variance import candidate_colours, propagated_rule
from flowchroma.models.state import Signals

READS = {"errors": 3, "distances": 3, "origin": 2}  # channels of what can be left out
_BASE = 14


class OriginFusion(AdditiveUNet, Fusion):
    """Weighs carried and matched colours by what is known of each, and tells the error expected of the mixture.

    A U-Net changes the logarithms of the weights of `InverseVarianceFusion`, and of the mixture's expected error, and
    gives the share of the mean of 3 x 3 pixels in what is shown. Softmax keeps the mixture within the colours that were
    found. The changes start at zero, and the share at a half. Beside what `BlendFusion` reads, it is told how the place
    looked where the carried colour was given or found, against how it looks here: confidence along the flow says how
    likely each step was right, and this whether all of them together were. What it shows is not carried on: see
    `propagated_rule`.

    Args:
        width: see `AdditiveUNet`.
        depth: likewise.
        reads: of "errors" (logarithms of the expected errors), "distances" (between the colours) and "origin".
        error_model: gives the expected errors; None takes the defaults of `ErrorModel`.

    Raises:
        ValueError: `reads` has another name.
    """

    reads_recent = True
    reads_votes = True
    propagates_rule = True

    def __init__(
        self,
        width: int = 24,
        depth: int = 3,
        reads: Sequence[str] = tuple(READS),
        error_model: ErrorModel | None = None,
    ) -> None:
        if unknown := [name for name in reads if name not in READS]:
            raise ValueError(f"reads={list(reads)}: no {', '.join(unknown)}, there is {', '.join(READS)}")
        super().__init__(_BASE + sum(READS[name] for name in set(reads)), 5, width, depth)
        self.error_model = error_model or ErrorModel()
        self.reads = frozenset(reads)

    @property
    def reads_origin(self) -> bool:  # type: ignore[override]
        """See `Fusion`."""
        return "origin" in self.reads

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the colours of a frame: (B, 2, H, W), CIELAB units; any size."""
        return self.fuse(signals).ab

    def fuse(self, signals: Signals) -> Fused:
        """See `Fusion.fuse`; the confidence is learnt."""
        base, match, recent = candidate_colours(signals)
        colours = torch.stack([base, match.ab, recent.ab], dim=1)
        errors = self.error_model.all_errors(signals)
        out = self.compute(self._read(signals, colours, errors)).float()
        weights = torch.softmax(out[:, :3] - 2 * errors.log(), dim=1)
        independent = errors.square().reciprocal().sum(dim=1, keepdim=True).rsqrt()
        error = independent * out[:, 3:4].clamp(-LARGEST_CHANGE, LARGEST_CHANGE).exp()
        confidence = self.error_model.confidence_of(error.clamp(self.error_model.least, self.error_model.most))
        ab = smoothed((weights[:, :, None] * colours).sum(dim=1), torch.sigmoid(out[:, 4:]))
        return Fused(ab.to(colours.dtype), confidence, propagated=propagated_rule(signals, self.error_model))

    def _read(self, signals: Signals, colours: Tensor, errors: Tensor) -> Tensor:
        """What the network reads, (B, C, H, W), about [-1, 1]."""
        _, match, recent = candidate_colours(signals)
        zero = torch.zeros_like(match.similarity)
        read = [scale_luma(signals.luma), *(scale_ab(ab) for ab in colours.unbind(1))]
        read += [signals.propagation.confidence, zero if signals.flow is None else signals.flow.confidence]
        for found in (match, recent):
            read += [found.similarity, found.difference / LUMA_SCALE]
        read.append((recent.similarity > 0).to(zero))
        if "errors" in self.reads:
            read.append((errors.clamp(self.error_model.least, self.error_model.most).log() - 1) / 2)
        if "distances" in self.reads:
            pairs = ((0, 1), (0, 2), (1, 2))
            read += [chroma_distance(colours[:, a], colours[:, b]) / DISTANCE_SCALE for a, b in pairs]
        if signals.origin is not None and self.reads_origin:
            read += [signals.origin.difference / LUMA_SCALE, signals.origin.similarity]
        return torch.cat([x.to(colours.dtype) for x in read], dim=1)
