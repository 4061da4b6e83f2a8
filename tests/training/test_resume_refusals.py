"""What cannot be gone on with, and what is gone on with instead: no training, so that it is quick."""

import shutil
from pathlib import Path

import pytest
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import OmegaConf

from flowchroma.app.run.resuming import checkpoint_to_resume
from flowchroma.errors import UserError
from flowchroma.training.checkpoint_files import LAST, PREVIOUS, CheckpointFiles


@pytest.fixture
def run(tmp_path: Path, compose):
    """A run's directory with two checkpoints, and its config with other options."""
    options = ["stage=fusion", "loss=l1"]

    def config(*more: str, **changes):
        composed = compose(*options, *more)
        OmegaConf.set_struct(composed, False)
        return OmegaConf.merge(composed, {"run_dir": str(tmp_path), "name": "run", **changes})

    OmegaConf.save(config(), tmp_path / "config.yaml", resolve=True)
    files = CheckpointFiles()
    for step in (1, 2):
        files.save_checkpoint(
            {"step": step, "weights": torch.full((1000,), float(step))}, tmp_path / "checkpoints" / LAST
        )
    config.folder = tmp_path / "checkpoints"
    return config


def step_in(path: Path | None) -> int:
    assert path is not None
    return CheckpointFiles().load_checkpoint(path)["step"]


def test_the_last_is_used_and_the_one_before_it_is_kept(run) -> None:
    assert step_in(checkpoint_to_resume(run(resume="last"))) == 2
    assert step_in(run.folder / PREVIOUS) == 1
    assert {path.name for path in run.folder.iterdir()} == {LAST, PREVIOUS}
    assert step_in(checkpoint_to_resume(run(resume=str(run.folder.parent)))) == 2
    assert step_in(checkpoint_to_resume(run(resume=str(run.folder / PREVIOUS)))) == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def flip_one_bit_of_a_weight(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((4,), 2.0).numpy().tobytes()) + 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [cut, cut_to_nothing, flip_one_bit_of_a_weight])
def test_a_damaged_one_is_noticed_and_the_one_before_it_used(run, capsys, spoil) -> None:
    spoil(run.folder / LAST)
    assert step_in(checkpoint_to_resume(run(resume="last"))) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"{run.folder / LAST} is cut off or damaged" in said[0]
    assert "using the one before it" in said[0]
    shutil.copy(run.folder / LAST, run.folder / PREVIOUS)
    with pytest.raises(UserError, match=r"no checkpoint in .* is whole"):
        checkpoint_to_resume(run(resume="last"))
    with pytest.raises(UserError, match="cut off or damaged"):
        checkpoint_to_resume(run(resume=str(run.folder / LAST)))


def test_killed_between_two_renamings_there_is_still_one(run) -> None:
    (run.folder / LAST).unlink()
    assert step_in(checkpoint_to_resume(run(resume="last"))) == 1


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_code_in_a_checkpoint_is_never_run(run, tmp_path: Path) -> None:
    torch.save({"step": 3, "state_dict": Trap(tmp_path / "sprung")}, run.folder / LAST)
    found = checkpoint_to_resume(run(resume="last"))
    # Whatever a trainer asks for.
    for weights_only in (True, False, None):
        with pytest.raises(UserError, match="code in a file is never run") as refusal:
            CheckpointFiles().load_checkpoint(found, weights_only=weights_only)
        assert "\n" not in str(refusal.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["model.width=24"], r"another network or stage: model.width=24 instead of 56"),
        (["model=unet"], r"another network or stage: model._target_=flowchroma.models.UNetFusion instead of"),
        (["optimizer.lr=1"], r"its own optimizer and schedule along: optimizer.lr=1 instead of 0.0003"),
        (["trainer.max_steps=7"], r"its own optimizer and schedule along: scheduler.T_max=7 instead of 500"),
    ],
)
def test_what_was_learnt_by_other_means_is_refused(run, options: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said) as refusal:
        checkpoint_to_resume(run(*options, resume="last"))
    assert "weights.model=" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_changes_the_losses_is_said_and_what_does_not_is_not(run, capsys) -> None:
    free = ["data.num_workers=7", "trainer.log_every_n_steps=3", "callbacks.resumable.every_n_steps=9"]
    checkpoint_to_resume(run(*free, "weights.flow=null", resume="last"))
    assert capsys.readouterr().err == ""
    checkpoint_to_resume(run("data.batch_size=9", "callbacks=ema", "trainer.precision=bf16-mixed", resume="last"))
    (said,) = capsys.readouterr().err.splitlines()
    assert "data.batch_size=9 instead of 4" in said
    assert "callbacks.ema.decay=0.999 instead of nothing" in said
    assert "trainer.precision=bf16-mixed instead of 32-true" in said


def test_a_loss_recorded_in_an_earlier_form_is_the_same_loss(run, capsys, tmp_path: Path) -> None:
    record = OmegaConf.load(tmp_path / "config.yaml")
    off = {"perceptual": 0.0, "contextual": 0.0, "temporal": 0.0}
    record.loss = {"_target_": "flowchroma.losses.color_loss", "l1": 1.0, **off}
    OmegaConf.save(record, tmp_path / "config.yaml")
    checkpoint_to_resume(run(resume="last"))
    assert capsys.readouterr().err == ""
    checkpoint_to_resume(run("loss.temporal=0.5", resume="last"))
    assert "going on with loss.temporal=0.5 instead of 0.0: losses" in capsys.readouterr().err


def test_where_there_is_nothing_a_run_starts_and_a_named_one_is_refused(run, tmp_path: Path, capsys) -> None:
    assert checkpoint_to_resume(run(resume="last", run_dir=str(tmp_path / "new"))) is None
    assert "starts from its first step" in capsys.readouterr().err
    with pytest.raises(UserError, match="nothing to go on with at"):
        checkpoint_to_resume(run(resume=str(tmp_path / "nowhere")))


def test_every_process_refuses_and_the_first_alone_removes(run, tmp_path: Path, monkeypatch) -> None:
    """A process that went on would wait for the others without end."""
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with pytest.raises(UserError, match="go on with it by resume=last"):
        checkpoint_to_resume(run())
    (tmp_path / "results.csv").touch()
    assert checkpoint_to_resume(run()) is None
    assert (run.folder / LAST).exists()


def test_a_run_that_has_not_ended_is_not_overwritten(run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="go on with it by resume=last"):
        checkpoint_to_resume(run())
    assert (run.folder / LAST).exists()
    (tmp_path / "results.csv").touch()
    assert checkpoint_to_resume(run()) is None
    assert not (run.folder / LAST).exists()
