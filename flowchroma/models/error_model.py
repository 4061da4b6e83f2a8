"""How far off a colour is expected to be: one scale for carried and matched colours, in CIELAB units."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flowchroma.models.state import Signals
from flowchroma.types import Match

_NEVER = 1e4  # CIELAB units


@dataclass(frozen=True)
class ErrorModel:
    """Expected error of every colour that is found for a frame, and the confidence that stands for it.

    confidence = exp(-error / scale), as `memflow.Photometric` is calibrated. Errors of different origin are taken as
    independent: along the flow their squares add up, and colours that are weighed by the inverses of their squares
    have the inverse of the sum of these as theirs (Kalman, 1960; the best linear estimate).

    `benchmarks/calibrate.py` fits the constants to films, and shows how reliable the expected errors are.
    """

    scale: float = 10.0  # CIELAB units at which confidence is 1 / e
    least: float = 0.3  # CIELAB units, of 8-bit rounding
    most: float = 90.0  # CIELAB units
    noise: float = 0.5  # CIELAB units that the photometric confidence reads out of grain where the flow is right
    matched: float = 3.0  # CIELAB units of a match of similarity 1 and the frame's own luminance
    per_similarity: float = 4.0  # CIELAB units for each unit by which the similarity's natural logarithm is below 0
    per_luma: float = 0.6  # CIELAB units for each of L between what was found and the frame
    origin: float = 0.7  # share of appearance_error in the logarithm of a carried colour's expected error
    recent: float = 1.4  # CIELAB units that the colour of a frame coloured before has on top
    sharpness: float = 0.8  # of `ops.sharp_backward_warp`; 0.1 more: 0.15 % more colourful, 0.02 dB less in 25 frames

    def error_of(self, confidence: Tensor) -> Tensor:
        """The expected error that a confidence stands for, in CIELAB units: -scale ln(confidence)."""
        return (-self.scale * torch.log(confidence.clamp(1e-6, 1.0))).clamp(self.least, self.most)

    def confidence_of(self, error: Tensor) -> Tensor:
        """The confidence that stands for an expected error in CIELAB units: exp(-error / scale), in [0, 1]."""
        return torch.exp(-error / self.scale)

    def carried_confidence(self, confidence: Tensor, flow: Tensor) -> Tensor:
        """Confidence in a carried colour: sqrt(before^2 + step^2) in expected errors.

        Args:
            confidence: (B, 1, H, W), in the colour where it was taken from.
            flow: (B, 1, H, W), in the flow that took it.
        """
        step = (self.error_of(flow) - self.noise).clamp(min=0)
        return self.confidence_of((self.error_of(confidence).square() + step.square()).sqrt())

    def matched_error(self, match: Match) -> Tensor:
        """Expected error of a matched colour, matched - per_similarity ln(similarity) + per_luma |L difference|.

        Returns:
            (B, 1, H, W), CIELAB units, at most `most`.
        """
        return self._appearance_error(match.similarity, match.difference)

    def carried_error(self, signals: Signals) -> Tensor:
        """Expected error of the carried colour: path_error^(1 - origin) appearance_error^origin.

        `path_error` is what was accumulated over all steps since the colour was given, and the whole where there is no
        origin; `appearance_error` is that of a match which looks as much like this frame as the colour's origin does.

        Returns:
            (B, 1, H, W), CIELAB units, from `least` to `most`.
        """
        path_error, found = self.error_of(signals.propagation.confidence), signals.origin
        if found is None:
            return path_error
        appearance_error = self._appearance_error(found.similarity, found.difference.abs())
        both = path_error ** (1 - self.origin) * appearance_error**self.origin
        return torch.where(signals.propagation.confidence > 0, both, path_error)

    def _appearance_error(self, similarity: Tensor, difference: Tensor) -> Tensor:
        unlike = -self.per_similarity * torch.log(similarity.clamp(0.01, 1.0))
        return (self.matched + unlike + self.per_luma * difference).clamp(max=self.most)

    def errors(self, signals: Signals) -> list[Tensor]:
        """Expected errors of the carried colour, the matched one, and that of frames coloured before, if there are any.

        Returns:
            Two or three of (B, 1, H, W), CIELAB units.
        """
        found = [self.carried_error(signals), self.matched_error(signals.match.finest)]
        if signals.recent is not None:
            found.append((self.matched_error(signals.recent.finest).square() + self.recent**2).sqrt())
        return found

    def all_errors(self, signals: Signals) -> Tensor:
        """The three of `errors` in float32, (B, 3, H, W), CIELAB units; very large where there is no such colour."""
        carried, matched, *recent = (error.float() for error in self.errors(signals))
        remembered = torch.full_like(carried, _NEVER)
        if signals.recent is not None:
            remembered = torch.where(signals.recent.finest.similarity > 0, recent[0], remembered)
        return torch.cat([carried, matched, remembered], dim=1)

    @torch.no_grad()
    def fused_confidence(self, signals: Signals) -> Tensor:
        """Confidence in the colour that a frame gets when all that was found for it is weighed, (B, 1, H, W)."""
        certainty = self.all_errors(signals).square().reciprocal().sum(dim=1, keepdim=True)
        return self.confidence_of(certainty.rsqrt().clamp(min=self.least))
