"""Records of earlier releases: a run of today with its config written as it was then."""

import copy
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from flowchroma.app.records import read_record, upgrade_record
from flowchroma.app.run.resuming import checkpoint_to_resume
from flowchroma.app.systems import load_system
from flowchroma.errors import UserError
from flowchroma.runs import differences, read_run
from flowchroma.training.checkpoint_files import LAST, CheckpointFiles
from flowchroma.weights import SHIPPED_SYSTEM


def as_written_before(config):
    """Today's config with `checkpoint` in each network, a list of models, and no word of what is optimized."""
    old = copy.deepcopy(OmegaConf.to_container(config, resolve=True))
    weights = old.pop("weights")
    old.pop("optimized_metric")
    old["model"]["checkpoint"] = weights["model"]
    old["stage"]["fits"] = ["placeholder", "simple", "unet", "blend"]
    for name in ("flow", "matcher"):
        old["stage"][name]["checkpoint"] = weights[name]
    return OmegaConf.create(old)


@pytest.fixture
def config(compose, tmp_path: Path):
    def composed(*options: str, **changes):
        composed = compose("stage=fusion", "loss=l1", "weights.flow=/flow/of/mine", *options)
        OmegaConf.set_struct(composed, False)
        return OmegaConf.merge(composed, {"run_dir": str(tmp_path), "name": "run", **changes})

    return composed


@pytest.fixture
def old_run(config, tmp_path: Path) -> Path:
    OmegaConf.save(as_written_before(config()), tmp_path / "config.yaml")
    CheckpointFiles().save_checkpoint({"step": 1, "weights": torch.zeros(4)}, tmp_path / "checkpoints" / LAST)
    return tmp_path


def test_an_old_record_is_read_as_one_of_today(config, old_run: Path) -> None:
    read, today = read_record(old_run / "config.yaml"), OmegaConf.to_container(config(), resolve=True)
    assert OmegaConf.to_container(read) == today
    OmegaConf.save(OmegaConf.create(today), old_run / "config.yaml")
    assert OmegaConf.to_container(read_record(old_run / "config.yaml")) == today


def test_an_old_run_goes_on_with_the_same_command_and_no_false_difference(config, old_run: Path, capsys) -> None:
    assert checkpoint_to_resume(config(resume="last")) == old_run / "checkpoints" / LAST
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=r"model.width=24 instead of 56"):
        checkpoint_to_resume(config("model.width=24", resume="last"))


def test_an_old_run_and_one_of_today_are_one_idea(config, old_run: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    OmegaConf.save(config(), tmp_path / "new" / "config.yaml", resolve=True)
    old, new = (read_run(folder, upgrade_record) for folder in (old_run, tmp_path / "new"))
    assert differences([old, new]) == {}
    assert differences([read_run(old_run), new]) != {}


def test_an_old_record_still_colours(tmp_path: Path) -> None:
    """The one of the weights that ship, as it was first written."""
    record = OmegaConf.load(SHIPPED_SYSTEM.with_name("config.yaml"))
    for network in (record.model, record.stage.flow, record.stage.matcher):
        network.checkpoint = "/a/path/of/the/machine/that/trained/it"
    (tmp_path / "weights.safetensors").symlink_to(SHIPPED_SYSTEM)
    OmegaConf.save(record, tmp_path / "config.yaml")
    for old, new in zip(load_system(tmp_path).parameters(), load_system().parameters(), strict=True):
        assert torch.equal(old, new)
