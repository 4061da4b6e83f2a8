"""What happens around training: progress, pictures, counts."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from torchvision.utils import make_grid, save_image


class Progress(RichProgressBar):
    """Rich progress bar with the losses, without the version number."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """The figures beside the bar."""
        figures = super().get_metrics(trainer, pl_module)
        figures.pop("v_num", None)
        return {name.removeprefix("train/"): value for name, value in figures.items()}

    def _get_train_description(self, current_epoch: int) -> str:
        # Runs end by steps; Lightning would print an end of minus two epochs.
        return f"Epoch {current_epoch}"


class Panels(Callback):
    """Writes one row of pictures at each validation, and hands it to loggers that take images.

    Args:
        directory: where PNG files go, named by step.
        limit: files kept; the oldest are removed first.
    """

    def __init__(self, directory: str, limit: int = 50) -> None:
        self.directory, self.limit = Path(directory), limit

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what the stage showed of its first batch."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        for shown in getattr(pl_module, "shown", ()):
            images = [image.float().cpu().clamp(0, 1) for image in shown.images.values()]
            row = make_grid(images, nrow=len(images))
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / f"{trainer.global_step:07d}.png"
            save_image(row, path)
            caption = " | ".join([*shown.images, shown.caption])
            for logger in trainer.loggers:
                if hasattr(logger, "log_image"):
                    logger.log_image("val/panel", [str(path)], caption=[caption], step=trainer.global_step)
        for old in sorted(self.directory.glob("*.png"))[: -self.limit]:
            old.unlink()


class CountSkipped(Callback):
    """Logs how many films could not be used so far."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Log `data/skipped`, once there are any."""
        skipped = getattr(getattr(trainer, "datamodule", None), "skipped", None)
        if skipped:
            pl_module.log("data/skipped", torch.tensor(float(sum(skipped.values()))), reduce_fx="max", batch_size=1)
