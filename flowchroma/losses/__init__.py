"""Losses: one term a file, and the weighted sum that returns every term by name."""

from flowchroma.losses.adversarial import discriminator_loss, generator_loss
from flowchroma.losses.batch import Prediction
from flowchroma.losses.build import color_loss, flow_loss, swintexco_loss
from flowchroma.losses.census import FlowCensus
from flowchroma.losses.chroma_smoothness import ChromaSmoothness
from flowchroma.losses.contextual import Contextual, contextual_loss
from flowchroma.losses.flow import FlowColor, FlowEndPoint
from flowchroma.losses.l1 import L1
from flowchroma.losses.perceptual import Perceptual, SquaredPerceptual
from flowchroma.losses.photometric import FlowPhotometric
from flowchroma.losses.smoothness import FlowSmoothness
from flowchroma.losses.temporal import Temporal
from flowchroma.losses.trunk import BorrowedTrunk, SharedTrunk
from flowchroma.losses.weighted import LossValues, WeightedSum

__all__ = [
    "L1",
    "BorrowedTrunk",
    "ChromaSmoothness",
    "Contextual",
    "FlowCensus",
    "FlowColor",
    "FlowEndPoint",
    "FlowPhotometric",
    "FlowSmoothness",
    "LossValues",
    "Perceptual",
    "Prediction",
    "SharedTrunk",
    "SquaredPerceptual",
    "Temporal",
    "WeightedSum",
    "color_loss",
    "contextual_loss",
    "discriminator_loss",
    "flow_loss",
    "generator_loss",
    "swintexco_loss",
]
