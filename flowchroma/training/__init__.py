"""The stages as LightningModules, their callbacks and loggers, and runs in files."""

from flowchroma.training.adversarial import AdversarialStage
from flowchroma.training.average import Average
from flowchroma.training.bidirectional import BidirectionalStage
from flowchroma.training.callbacks import CountSkipped, Panels, Progress
from flowchroma.training.checkpoint_files import CheckpointFiles
from flowchroma.training.fusion import FusionStage
from flowchroma.training.fusion_rollouts import FusionRolloutStage
from flowchroma.training.guard import Guard
from flowchroma.training.loggers import Wandb, close_loggers, log_config
from flowchroma.training.memflow import MemFlowStage
from flowchroma.training.metrics_file import MetricsFile
from flowchroma.training.optimizer import adamw_by_part
from flowchroma.training.projections import FitProjections
from flowchroma.training.resume import Resumable
from flowchroma.training.stage import Stage
from flowchroma.training.swintexco import SwinTExCoStage
from flowchroma.weights.files import load_weights, save_weights
