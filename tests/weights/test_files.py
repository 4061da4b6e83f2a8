from pathlib import Path

import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.models import FlowChroma, SimpleFusion, UNetFusion
from flowchroma.training import load_weights, save_weights


class Attack:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    saved, loaded = UNetFusion(8, 2), UNetFusion(8, 2)
    save_weights(saved, tmp_path / "weights.safetensors")
    load_weights(loaded, tmp_path)
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in saved.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


def test_parts_of_a_system_load_by_themselves_without_the_trunk(build, tmp_path: Path) -> None:
    flow, matcher = build("memflow_small"), build("swintexco_small")
    with torch.no_grad():
        matcher.log_temperature.fill_(-1)
    save_weights(FlowChroma(flow, matcher, SimpleFusion()), tmp_path / "all.safetensors")
    assert (tmp_path / "all.safetensors").stat().st_size < 4_500_000
    fresh = build("swintexco_small")
    load_weights(fresh, tmp_path / "all.safetensors", "matcher")
    assert fresh.log_temperature == -1
    assert all(torch.isfinite(v).all() for v in fresh.state_dict().values())


def test_another_network_is_refused_with_what_does_not_fit_and_nothing_is_changed(tmp_path: Path) -> None:
    save_weights(SimpleFusion(14), tmp_path / "small.safetensors")
    network = SimpleFusion(56)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(
        UserError, match=r"another network than SimpleFusion.*layers.0.weight \(14, 7, 3, 3\) instead of"
    ):
        load_weights(network, tmp_path / "small.safetensors")
    with pytest.raises(UserError, match=r"layers.0.weight unknown|enter.0.weight missing"):
        load_weights(UNetFusion(8, 2), tmp_path / "small.safetensors")
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize("name", ["weights.safetensors", "run.ckpt"])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("ckpt"):
        torch.save({"state_dict": SimpleFusion().state_dict()}, path)
    else:
        save_weights(SimpleFusion(), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=f"{name} cannot be read"):
        load_weights(SimpleFusion(), path)


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    torch.save({"state_dict": SimpleFusion().state_dict(), "extra": Attack(tmp_path / "run")}, tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match="cannot be read"):
        load_weights(SimpleFusion(), tmp_path / "bad.ckpt")
    assert not (tmp_path / "run").exists()


def test_missing_files_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint at"):
        load_weights(SimpleFusion(), tmp_path / "nothing.ckpt")
    with pytest.raises(UserError, match="holds no weights"):
        load_weights(SimpleFusion(), tmp_path)
