from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from flowchroma.training import Guard


class TwoSides(LightningModule):
    """Two weights, each with an optimizer, and one loss, which some batches break without a trace in gradients."""

    def __init__(self, broken: set[int], accumulate: int) -> None:
        super().__init__()
        self.one, self.other = torch.nn.Parameter(torch.ones(())), torch.nn.Parameter(torch.ones(()))
        self.broken, self.accumulate = broken, accumulate
        self.automatic_optimization = False
        self.seen: list[tuple[float, float]] = []

    def setup(self, stage: str) -> None:
        self.trainer.accumulate_grad_batches = self.accumulate

    def training_step(self, batch, batch_idx: int) -> None:
        loss = self.one + self.other + (torch.nan if batch_idx in self.broken else 0)
        self.manual_backward(loss)
        if (batch_idx + 1) % self.accumulate == 0:
            for optimizer in self.optimizers():
                optimizer.step()
                optimizer.zero_grad()
            self.seen.append((self.one.item(), self.other.item()))

    def configure_optimizers(self):
        return [torch.optim.SGD([weight], 0.25) for weight in (self.one, self.other)]


@pytest.mark.parametrize(("accumulate", "changes"), [(1, [1, 0, 1, 0, 0, 1]), (2, [0, 0, 1])])
def test_a_broken_loss_holds_every_optimizer_back(tmp_path: Path, accumulate: int, changes: list[int]) -> None:
    module = TwoSides({1, 3, 4} if accumulate == 1 else {1, 2}, accumulate)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[Guard(str(tmp_path / "skipped.csv"))],
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(torch.zeros(6)))
    left = torch.tensor([1.0, *(one for one, _ in module.seen)])
    assert [bool(change) for change in left.diff() != 0] == [bool(change) for change in changes]
    assert all(one == other for one, other in module.seen)
    assert len((tmp_path / "skipped.csv").read_text().splitlines()) == 1 + changes.count(0)
