"""The three stages as LightningModules, their callbacks and loggers, and weights in files."""

from flowchroma.training.callbacks import CountSkipped, Panels, Progress
from flowchroma.training.checkpoint import load_weights, save_weights
from flowchroma.training.fusion import FusionStage
from flowchroma.training.loggers import Wandb, close_loggers, log_config
from flowchroma.training.memflow import MemFlowStage
from flowchroma.training.stage import MONITOR, Stage
from flowchroma.training.swintexco import SwinTExCoStage

__all__ = [
    "MONITOR",
    "CountSkipped",
    "FusionStage",
    "MemFlowStage",
    "Panels",
    "Progress",
    "Stage",
    "SwinTExCoStage",
    "Wandb",
    "close_loggers",
    "load_weights",
    "log_config",
    "save_weights",
]
