from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.models import FlowChroma, PlaceholderFusion
from flowchroma.ship import main, ship
from flowchroma.training import save_weights


def test_what_ships_colours_as_the_run_did(build, compose, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    config = compose("model=placeholder", "weights.flow=/a/path/of/mine", "data.root=/another")
    config.run_dir = str(run)
    record = {"loss_trunk": None, "torch": "2", "overrides": ["a path of mine"]}
    kept = OmegaConf.create({"stage": config.stage, "model": config.model, "weights": config.weights, "record": record})
    OmegaConf.save(kept, run / "config.yaml")
    trained = FlowChroma(build("memflow_small"), build("swintexco_small"), PlaceholderFusion()).eval()
    save_weights(trained, run / "weights.safetensors")
    ship(run, tmp_path / "shipped" / "weights.safetensors")
    assert "path" not in (tmp_path / "shipped" / "config.yaml").read_text()
    shipped = load_system(str(tmp_path / "shipped" / "weights.safetensors"))
    lab = rgb_to_lab(torch.rand(1, 3, 48, 48))
    colours = [system.step(lab[:, :1], system.start(lab[:, None]))[0] for system in (trained, shipped)]
    assert (colours[0] - colours[1]).abs().mean() < 0.5


def test_the_default_system_is_there_and_gives_colour() -> None:
    system = load_system()
    assert not system.training
    assert not any(p.requires_grad for p in system.parameters())
    lab = rgb_to_lab(torch.rand(1, 3, 6, 6).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3))
    ab, _ = system.step(lab[:, :1], system.start(lab[:, None]))
    baseline = lab[:, 1:].abs().mean()  # of leaving it gray
    assert (ab - lab[:, 1:]).abs().mean() < 0.7 * baseline


def test_what_is_no_run_is_refused_in_one_line(capsys, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").touch()
    for where in (tmp_path, tmp_path / "weights.safetensors"):
        monkeypatch.setattr("sys.argv", ["ship", str(where), str(tmp_path / "out")])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        assert (
            capsys.readouterr().err == f"flowchroma: {where} is no run's directory: give one that holds config.yaml\n"
        )
    assert not (tmp_path / "out").exists()
