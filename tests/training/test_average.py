from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader

from flowchroma.app.run.results import score_best
from flowchroma.training import Average


class Overshoots(LightningModule):
    """Best in the middle of its run: its weight grows past what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return -self.weight

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val/psnr", -(self.weight - 0.3).abs())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_the_figure_is_that_of_the_weights_that_are_kept(tmp_path: Path) -> None:
    keeper = ModelCheckpoint(tmp_path, "best", monitor="val/psnr", mode="max", save_weights_only=False)
    data = DataLoader(torch.zeros(10, 1))
    trainer = Trainer(
        accelerator="cpu", max_steps=10, val_check_interval=2, check_val_every_n_epoch=None,
        callbacks=[Average(0.5), keeper], logger=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=tmp_path,
    )  # fmt: skip
    stage = Overshoots()
    trainer.fit(stage, data, data)

    class Data:
        pass

    best = torch.load(keeper.best_model_path, weights_only=True)["state_dict"]["weight"]
    validate = trainer.validate
    trainer.validate = lambda module, datamodule, verbose: validate(module, data, verbose=verbose)  # type: ignore[method-assign]
    scores = score_best(trainer, stage, Data(), "val/psnr")  # type: ignore[arg-type]
    assert abs(float(best) - 0.3) < 0.1, "the best was earlier than the last"
    torch.testing.assert_close(stage.weight.detach(), best)
    torch.testing.assert_close(torch.tensor(scores["val/psnr"]), -(best - 0.3).abs())
