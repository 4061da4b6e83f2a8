"""Losses: one term a file, and the weighted sum that returns every term by name."""

from flowchroma.losses.adversarial import discriminator_loss, generator_loss
from flowchroma.losses.census import FlowCensus
from flowchroma.losses.chroma_smoothness import ChromaSmoothness
from flowchroma.losses.contextual import Contextual, contextual_loss
from flowchroma.losses.flow import FlowColor, FlowEndPoint
from flowchroma.losses.l1 import L1
from flowchroma.losses.perceptual import Perceptual, SquaredPerceptual
from flowchroma.losses.photometric import FlowPhotometric
from flowchroma.losses.prediction import EstimatedMotion, ExactMotion, Prediction, PreviousFrame
from flowchroma.losses.smoothness import FlowSmoothness
from flowchroma.losses.temporal import Temporal
from flowchroma.losses.trunk import FeatureTerm, MatchingTrunk, Trunk, VGGTrunk, vgg_trunk
from flowchroma.losses.weighted import NEEDS_MATCHING, LossValues, WeightedSum, weighted_sum

__all__ = [
    "L1",
    "NEEDS_MATCHING",
    "ChromaSmoothness",
    "Contextual",
    "EstimatedMotion",
    "ExactMotion",
    "FeatureTerm",
    "FlowCensus",
    "FlowColor",
    "FlowEndPoint",
    "FlowPhotometric",
    "FlowSmoothness",
    "LossValues",
    "MatchingTrunk",
    "Perceptual",
    "Prediction",
    "PreviousFrame",
    "SquaredPerceptual",
    "Temporal",
    "Trunk",
    "VGGTrunk",
    "WeightedSum",
    "contextual_loss",
    "discriminator_loss",
    "generator_loss",
    "vgg_trunk",
    "weighted_sum",
]
