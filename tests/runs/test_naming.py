import subprocess
from pathlib import Path

import pytest

from flowchroma.runs.naming import LONGEST, git_state, run_name
from flowchroma.runs.option_effects import changes_result


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["stage=fusion", "model=unet", "optimizer.lr=1e-4", "seed=1"], "fusion-unet-lr1e-4-seed1"),
        (["loss=l1", "loss.l1=0.5"], "fusion-unet-loss_l1-l1_0.5-seed1"),
        (["+experiments=demo_fusion", "trainer=ddp", "logger.wandb.offline=true"], "fusion-unet-demo_fusion-seed1"),
        (["data=davis", "data.root=/data/DAVIS", "data.num_workers=8"], "fusion-unet-data_davis-seed1"),
        (["weights.flow=outputs/memflow/monday/"], "fusion-unet-flow_monday-seed1"),
        (["callbacks=ema", "callbacks.ema.decay=0.9"], "fusion-unet-callbacks_ema-decay0.9-seed1"),
        (["loss.temporal=0.30612244897959", "trainer.max_steps=900"], "fusion-unet-temporal0.306-max_steps900-seed1"),
        (["data.size=[224,224]", "hydra.run.dir=x"], "fusion-unet-size_224_224-seed1"),
    ],
)  # fmt: skip
def test_a_name_says_what_was_typed_that_matters(overrides: list[str], name: str):
    assert run_name("fusion", "unet", 1, overrides) == name


def test_a_name_is_never_too_long_nor_a_path_and_keeps_its_seed():
    name = run_name("fusion", "unet", 12, [f"loss.term{i}='a/../b c$'" for i in range(40)])
    assert len(name) <= LONGEST
    assert name.endswith("-seed12")
    assert not set(name) & set("/ $'\"")


@pytest.mark.parametrize(
    ("key", "matters"),
    [
        ("optimizer.lr", True), ("trainer.max_steps", True), ("trainer.precision", True), ("model", True),
        ("trainer", False), ("trainer.accelerator", False), ("hydra/launcher", False), ("data.roots", True),
        ("run_dir", False), ("callbacks.panels.limit", False),
    ],
)  # fmt: skip
def test_where_and_how_fast_is_no_idea(key: str, matters: bool):
    assert changes_result(key) == matters


def test_the_commit_is_told_and_whether_it_was_changed(tmp_path: Path):
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert git_state(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-qm", "one")
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "new").write_text("not of the code")
    assert git_state(tmp_path)["dirty"] is False
    (tmp_path / "file").write_text("b")
    assert git_state(tmp_path)["dirty"] is True
    (tmp_path / "inside").mkdir()
    assert git_state(tmp_path / "inside") is None  # somebody else's checkout around an installed package
