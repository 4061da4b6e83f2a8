"""Methods scored on whole clips by one protocol, and the report of it."""

from flowchroma.evaluation.collect import collect
from flowchroma.evaluation.keyframed_system import KeyframedSystem
from flowchroma.evaluation.perceptual_networks import PerceptualNetworks, load_perceptual_networks
from flowchroma.evaluation.predictions import Predictions, find_clip
from flowchroma.evaluation.protocol import Protocol
from flowchroma.evaluation.runner import EvaluatedMethod, Evaluation
from flowchroma.evaluation.score_store import LOCKS, ScoreStore, fingerprint, short_hash
from flowchroma.evaluation.scoring import TRUTH, FrameColorizer, score_clip
