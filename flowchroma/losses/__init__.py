"""Losses: one term a file, and the weighted sum that returns every term by name."""

from flowchroma.losses.adversarial import discriminator_loss, generator_loss
from flowchroma.losses.census import FlowCensus
from flowchroma.losses.chroma_smoothness import ChromaSmoothness
from flowchroma.losses.contextual import Contextual, contextual_loss
from flowchroma.losses.expected_error import ColorDistance, ExpectedError, RelativeError
from flowchroma.losses.flow import FlowColor, FlowEndPoint, FlowPhotometric
from flowchroma.losses.l1 import L1
from flowchroma.losses.perceptual import Perceptual, SquaredPerceptual
from flowchroma.losses.prediction import EstimatedMotion, ExactMotion, Prediction, PreviousFrame
from flowchroma.losses.smoothness import FlowSmoothness
from flowchroma.losses.temporal import Temporal
from flowchroma.losses.trunk import MatchingTrunk, Trunk, vgg_trunk
from flowchroma.losses.weighted import NEEDS_MATCHING, LossValues, WeightedSum, weighted_sum
