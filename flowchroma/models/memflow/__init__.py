"""Flow that carries colour from frame to frame."""

from flowchroma.models.memflow.confidence import (
    Confidence,
    Evidence,
    ForwardBackward,
    MatchingEntropy,
    Photometric,
    UpsamplingEntropy,
)
from flowchroma.models.memflow.network import MemFlow

__all__ = [
    "Confidence",
    "Evidence",
    "ForwardBackward",
    "MatchingEntropy",
    "MemFlow",
    "Photometric",
    "UpsamplingEntropy",
]
