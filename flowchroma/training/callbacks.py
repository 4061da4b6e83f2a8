"""What happens around training: progress, pictures, counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torchvision.utils import make_grid


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
    """Writes one row of pictures at validations, and hands it to loggers that take images.

    Args:
        directory: where PNG files go, named by step.
        limit: pictures of a whole run, evenly spaced where it validates more often; and files kept where its length is
            not known, the oldest removed first.
    """

    def __init__(self, directory: str, limit: int = 50) -> None:
        self.directory, self.limit = Path(directory), limit
        self._due = 0.0  # the step from which the next one is wanted

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the panel of the first batch, if one is due."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        step, length = trainer.global_step, trainer.max_steps
        # Validated by itself: the best weights, once training has ended.
        if trainer.state.fn == TrainerFn.FITTING and length > 0 and step < min(self._due, length):
            return
        self._due = step + max(length, 0) / self.limit
        for shown in getattr(pl_module, "shown", ()):
            images = [image.float().cpu().clamp(0, 1) for image in shown.images.values()]
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self.directory / f"{step:07d}.png"
            caption = " | ".join([*shown.images, shown.caption])
            _save_row(images, path, caption)
            for logger in trainer.loggers:
                if hasattr(logger, "log_image"):
                    logger.log_image("val/panel", [str(path)], caption=[caption], step=step)
        for old in sorted(self.directory.glob("*.png"))[: -self.limit]:
            old.unlink()


def _save_row(images: Sequence[Tensor], path: Path, caption: str) -> None:
    """Write pictures beside each other, and in the file itself what they are."""
    from PIL.PngImagePlugin import PngInfo
    from torchvision.transforms.functional import to_pil_image

    metadata = PngInfo()
    metadata.add_itxt("caption", caption)
    to_pil_image(make_grid(list(images), nrow=len(images))).save(path, pnginfo=metadata)


class CountSkipped(Callback):
    """Logs how many films could not be used so far."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Log `data/skipped`, once there are any."""
        skipped = getattr(getattr(trainer, "datamodule", None), "skipped", None)
        if skipped:
            pl_module.log("data/skipped", torch.tensor(float(sum(skipped.values()))), reduce_fx="max", batch_size=1)
