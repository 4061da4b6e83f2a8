"""A moving average of the weights."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from flowchroma.training.guard import Guard


class Average(WeightAveraging):
    """Keeps an exponential moving average of the weights, which is what is validated, kept as the best, and saved.

    The average moves by interpolation, so weights that are frozen stay what they are to the bit. Buffers are those of
    the network in training. A step that was skipped does not count.

    Args:
        decay: share of the average that stays at each step.
    """

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__(use_buffers=False, multi_avg_fn=get_ema_multi_avg_fn(decay))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the average where the network will be: it is moved there only later."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hand the average over, and let go of it: what is validated from now on is what was loaded."""
        super().on_train_end(trainer, pl_module)
        self._average_model = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Move the average, unless the step was skipped."""
        if not any(callback.skipped for callback in trainer.callbacks if isinstance(callback, Guard)):  # type: ignore[attr-defined]
            super().on_train_batch_end(trainer, pl_module, *args)
