"""How far off a colour is expected to be: one scale for carried and matched colours, in CIELAB units.

A confidence in [0, 1] stands for exp(-error / 10), as `memflow.Photometric` is calibrated. Errors of different origin
are taken as independent: along the flow their squares add up, and colours that are weighed by the inverses of their
squares have the inverse of the sum of these as theirs (Kalman, 1960; the best linear estimate).
"""

import torch
from torch import Tensor

from flowchroma.models.state import Signals
from flowchroma.types import Match

_SCALE = 10.0  # CIELAB units at which confidence is 1 / e
_LEAST = 0.3  # CIELAB units: no colour is surer than 8-bit ones are fine
_MOST = 90.0
_NOISE = 0.5  # CIELAB units that the photometric confidence reads out of grain where the flow is right
_MATCHED = 3.0  # CIELAB units of a match of similarity 1 and the frame's own luminance
_PER_LUMA = 0.6  # CIELAB units for each of L between what was found and the frame
_AGED = 1.4  # CIELAB units that the colour of a frame coloured before has on top


def error_of(confidence: Tensor) -> Tensor:
    """The expected error that a confidence stands for, in CIELAB units."""
    return (-_SCALE * torch.log(confidence.clamp(1e-6, 1))).clamp(_LEAST, _MOST)


def confidence_of(error: Tensor) -> Tensor:
    """The confidence that stands for an expected error, in [0, 1]."""
    return torch.exp(-error / _SCALE)


def carried_on(worth: Tensor, flow: Tensor) -> Tensor:
    """Confidence in a colour that had the confidence `worth` where a flow of that confidence took it from."""
    step = (error_of(flow) - _NOISE).clamp(min=0)
    return confidence_of((error_of(worth).square() + step.square()).sqrt())


def matched_error(match: Match) -> Tensor:
    """Expected error of a matched colour, (B, 1, H, W), CIELAB units."""
    unlike = -2 * _SCALE * torch.log(match.similarity.clamp(0.01, 1))
    return (_MATCHED + unlike + _PER_LUMA * match.difference).clamp(max=_MOST)


def errors(signals: Signals) -> list[Tensor]:
    """Expected errors of the carried colour, the matched one, and that of frames coloured before, if there are any."""
    found = [error_of(signals.propagation.confidence), matched_error(signals.match.closest)]
    if signals.recent is not None:
        found.append((matched_error(signals.recent.closest).square() + _AGED**2).sqrt())
    return found


@torch.no_grad()
def worth(signals: Signals) -> Tensor:
    """Confidence in the colour that a frame gets when all that was found for it is weighed, (B, 1, H, W)."""
    certainty = torch.stack([error.square().reciprocal() for error in errors(signals)]).sum(0)
    return confidence_of(certainty.rsqrt().clamp(min=_LEAST))
