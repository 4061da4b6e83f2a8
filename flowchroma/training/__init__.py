"""The three stages as LightningModules, their callbacks, and weights in files."""

from flowchroma.training.adversarial import AdversarialStage
from flowchroma.training.callbacks import CountSkipped, Panels, Progress
from flowchroma.training.checkpoint import load_weights, save_weights
from flowchroma.training.fusion import FusionStage
from flowchroma.training.memflow import MemFlowStage
from flowchroma.training.optimizer import adamw_by_part
from flowchroma.training.stage import MONITOR, Stage
from flowchroma.training.swintexco import SwinTExCoStage

__all__ = [
    "MONITOR",
    "AdversarialStage",
    "CountSkipped",
    "FusionStage",
    "MemFlowStage",
    "Panels",
    "Progress",
    "Stage",
    "SwinTExCoStage",
    "adamw_by_part",
    "load_weights",
    "save_weights",
]
