"""Skips steps whose loss or gradient is not finite."""

import csv
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from flowchroma import processes
from flowchroma.errors import UserError
from flowchroma.training.resume import steps_done


class Guard(Callback):
    """Skips steps whose loss or gradient is infinite or not a number, and ends a run that has too many of them.

    A skipped step changes no weight, no state of the optimizer and no average of the weights, in all processes alike;
    the schedule goes on, so that a run has the length that was asked for. With several optimizers each is checked by
    its own gradient, and all of them by the losses of the step. `train/skipped_steps` is logged once there are any, and
    the clips of each are noted in a file.

    Args:
        path: where skipped steps are noted, as CSV: step, what was not finite, and the clips of all processes.
        in_a_row: skipped steps in succession that end the run.
        total: skipped steps altogether that end the run.
    """

    def __init__(self, path: str, in_a_row: int = 10, total: int = 100) -> None:
        self.path, self.in_a_row, self.total = Path(path), in_a_row, total
        self.skipped = False  # the current step
        self._row, self._count = 0, 0
        self._broken: Tensor | None = None
        self._clips: list[str] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the clips of the step."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._clips, self._broken = [], None
        self.skipped = False
        self._clips += getattr(batch, "names", ())

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Check the loss, without waiting for the device."""
        broken = ~torch.isfinite(loss.detach()).all()
        self._broken = broken if self._broken is None else self._broken | broken

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Take the gradients away where they or the loss are not finite: an optimizer then changes nothing."""
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        broken = self._broken if self._broken is not None else torch.zeros((), dtype=torch.bool)
        if parameters:
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            broken = broken.to(norm.device) | ~torch.isfinite(norm)
        # A loss may be broken in one process alone, and its gradient hide it.
        if processes.any_process(broken):
            self.skipped = True
            for parameter in parameters:
                parameter.grad = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, note and log the step; a `UserError` once there were too many."""
        if self.skipped:
            self._count, self._row = self._count + 1, self._row + 1
            self._note(trainer)
        elif (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._row = 0
        if self._count:
            pl_module.log("train/skipped_steps", float(self._count), reduce_fx="max", batch_size=1)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Forget what was noted of steps that are done again."""
        if trainer.is_global_zero and self.path.is_file():
            head, *rows = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [row for row in rows if int(row.partition(",")[0]) < checkpoint["place"]["step"]]
            self.path.write_text("".join([head, *kept]), encoding="utf-8")

    def state_dict(self) -> dict[str, int]:
        """What was counted."""
        return {"count": self._count, "row": self._row}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on counting."""
        self._count, self._row = state_dict["count"], state_dict["row"]

    def _note(self, trainer: Trainer) -> None:
        logged = {k.removeprefix("train/"): v for k, v in trainer.callback_metrics.items() if k.startswith("train/")}
        terms = [k for k, v in logged.items() if f"{k}_weighted" in logged and not v.isfinite()]
        what = " ".join(terms) or "gradient"
        clips = [name for names in processes.gather(self._clips) for name in names]
        if trainer.is_global_zero:
            new = not self.path.exists()
            with self.path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerows([["step", "not finite", "clips"]] if new else [])
                writer.writerow([steps_done(trainer), what, "; ".join(clips)])
        if self._row >= self.in_a_row or self._count >= self.total:
            row = f"{self._row} steps in a row" if self._row >= self.in_a_row else f"{self._count} steps"
            shown = "; ".join(clips[:4]) + (f" and {len(clips) - 4} more" if len(clips) > 4 else "")
            raise UserError(
                f"{row} had a loss or gradient that is not finite, the last ({what}) on {shown}: lower optimizer.lr,"
                f" or look at the clips listed in {self.path}"
            )
