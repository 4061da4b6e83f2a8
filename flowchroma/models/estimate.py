"""A colour and how far off it is expected to be."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flowchroma.models.error_model import ErrorModel
from flowchroma.models.state import ColouredFrame

CALIBRATION_SCALE = 3.1  # of `Estimate.calibrated`; docs/confidence.md says how it was fitted
UNRELATED_ERROR = 19.0  # CIELAB units that colours of something else are off by


@dataclass(frozen=True)
class Estimate:
    """A frame's colour and its expected error."""

    ab: Tensor  # (B, 2, H, W), CIELAB units
    error: Tensor  # (B, 1, H, W), CIELAB units, above 0

    @staticmethod
    def propagated(frame: ColouredFrame, error_model: ErrorModel) -> "Estimate":
        """What is carried from a frame to the next, with the expected error that its confidence stands for."""
        state = frame.state
        assert state.ab is not None
        assert state.confidence is not None
        return Estimate(state.ab.float(), error_model.error_of(state.confidence.float()))

    @staticmethod
    def of(frame: ColouredFrame, error_model: ErrorModel) -> "Estimate":
        """What the system shows of a frame, with the expected error that its confidence stands for."""
        return Estimate(frame.ab.float(), error_model.error_of(frame.confidence.float()))

    def calibrated(self) -> "Estimate":
        """The same with errors that are on average as large as those that colours turn out to have, for people to read.

        Those that colours are weighed by are too low; of these only the ratios matter, and they are left as they are.
        Large ones come near those of colours of something else.
        """
        larger = CALIBRATION_SCALE * self.error
        return Estimate(self.ab, larger / (1 + larger / UNRELATED_ERROR))


def combine(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of independent estimates, weighed by the inverse squares of their errors (Kalman, 1960)."""
    certainties = torch.stack([estimate.error.square().reciprocal() for estimate in estimates])
    total = certainties.sum(dim=0)
    ab = (certainties * torch.stack([estimate.ab for estimate in estimates])).sum(dim=0) / total
    return Estimate(ab, total.rsqrt())
