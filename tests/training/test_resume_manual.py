"""Resuming and skipping where a stage steps several optimizers itself, as with a discriminator."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from flowchroma.data import ClipDataModule, Sample
from flowchroma.training import Average, CheckpointFiles, Guard, Resumable
from flowchroma.training.checkpoint_files import LAST


class Two(LightningModule):
    """A stand-in for a generator and its discriminator, with dropout, stepping in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.nets = torch.nn.ModuleList([torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.Conv2d(2, 1, 3)])
        self.losses: list[float] = []
        self.spoiled: tuple[int, int] | None = None  # batch, optimizer

    def training_step(self, clip, batch_idx: int) -> None:
        for number, optimizer in enumerate(self.optimizers()):
            ab = torch.nn.functional.dropout(self.nets[0](clip.luma[:, 0] / 100), 0.3)
            score = self.nets[1](ab).mean()
            loss = (score - 1) ** 2 + (ab - clip.ab[:, 0] / 110).abs().mean() if number == 0 else score.square()
            if self.spoiled == (self.trainer.fit_loop.total_batch_idx, number):
                loss = loss * torch.inf
            self.losses.append(loss.item())
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.lr_schedulers()[number].step()

    def validation_step(self, clip, batch_idx: int) -> None:
        torch.rand(3)

    def configure_optimizers(self):
        made = [torch.optim.Adam(net.parameters(), 1e-2) for net in self.nets]
        return made, [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9) for optimizer in made]


class Killed(BaseException):
    pass


class Killing(Callback):
    def __init__(self, after: int) -> None:
        self.after = after

    def on_train_batch_end(self, trainer: Trainer, *args) -> None:
        if trainer.fit_loop.total_batch_idx + 1 == self.after:
            raise Killed


def train(folder: Path, batches: int = 12, resume: Path | None = None, killed: int = 0, every: int = 2) -> Two:
    torch.manual_seed(0)
    module = Two()
    data = ClipDataModule(
        {"s": Sample((16, 16), clips_per_epoch=10, val_films=1, frames=5)},
        size=(16, 16), batch_size=2, num_workers=0, val_length=2, clip_length=2,
    )  # fmt: skip
    trainer = Trainer(
        callbacks=[Resumable(str(folder), every), Guard(str(folder / "skipped.csv")), Average(0.9), Killing(killed)],
        accelerator="cpu", max_steps=2 * batches, val_check_interval=4, check_val_every_n_epoch=None, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, plugins=[CheckpointFiles()],
    )  # fmt: skip
    if killed:
        with pytest.raises(Killed):
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    else:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    return module


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Two:
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("killed", [1, 4, 5, 7, 10])
def test_two_optimizers_go_on_to_the_bit(tmp_path: Path, whole: Two, killed: int) -> None:
    train(tmp_path / "killed", killed=killed)
    last = tmp_path / "killed" / LAST
    rest = train(tmp_path / "killed", resume=last if last.exists() else None)
    assert len(whole.losses) == 24
    # What was lost since the last save is done again.
    assert len(rest.losses) >= 24 - 2 * killed
    assert rest.losses == whole.losses[-len(rest.losses) :]
    for one, other in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True):
        assert torch.equal(one, other)  # the averages, which the weights are at the end


def test_a_run_that_has_ended_goes_on_for_longer(tmp_path: Path, whole: Two) -> None:
    """Seven batches end amid an epoch, five at the end of one."""
    for ended in (5, 7):
        train(tmp_path / str(ended), ended, every=100)
        rest = train(tmp_path / str(ended), 12, resume=tmp_path / str(ended) / LAST)
        assert rest.losses == whole.losses[2 * ended :]


def test_each_optimizer_is_judged_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[list[torch.Tensor]] = []

    class Watch(Two):
        spoiled = None

        def on_train_batch_end(self, *args) -> None:
            kept.append([next(net.parameters()).detach().clone() for net in self.nets])

        def __init__(self) -> None:
            super().__init__()
            self.spoiled = (2, 1)

    monkeypatch.setitem(globals(), "Two", Watch)
    train(tmp_path, 4)
    assert not torch.equal(kept[1][0], kept[2][0])
    assert torch.equal(kept[1][1], kept[2][1])
    assert not torch.equal(kept[2][1], kept[3][1])
    assert all(weight.isfinite().all() for step in kept for weight in step)
