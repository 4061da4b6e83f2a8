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
from flowchroma.models.memflow.refiner import Refiner

__all__ = [
    "Confidence",
    "Evidence",
    "ForwardBackward",
    "MatchingEntropy",
    "MemFlow",
    "Photometric",
    "Refiner",
    "UpsamplingEntropy",
]
