"""Flow that carries colour from frame to frame."""

from flowchroma.models.memflow.architecture import Architecture
from flowchroma.models.memflow.compact import MemFlowSmall
from flowchroma.models.memflow.confidence import (
    Confidence,
    Evidence,
    ForwardBackward,
    MatchingEntropy,
    Photometric,
    UpsamplingEntropy,
)
from flowchroma.models.memflow.estimator import FlowEstimator
from flowchroma.models.memflow.published import MemFlow
from flowchroma.models.memflow.refiner import Refiner

__all__ = [
    "Architecture",
    "Confidence",
    "Evidence",
    "FlowEstimator",
    "ForwardBackward",
    "MatchingEntropy",
    "MemFlow",
    "MemFlowSmall",
    "Photometric",
    "Refiner",
    "UpsamplingEntropy",
]
