"""Configs that earlier releases recorded, when MemFlow was one class, with and without a refiner."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from flowchroma.app.records import read_record
from flowchroma.app.run.resuming import checkpoint_to_resume
from flowchroma.app.systems import load_part, load_run
from flowchroma.errors import UserError
from flowchroma.models import MemFlow, MemFlowSmall
from flowchroma.training import save_weights
from flowchroma.training.checkpoint_files import LAST, CheckpointFiles
from flowchroma.weights import SHIPPED_SYSTEM

START = {"_target_": "flowchroma.ops.lucas_kanade", "_partial_": True}
SMALL = {
    "_target_": "flowchroma.models.MemFlow", "channels": 1, "widths": [16, 24, 32], "blocks": 1,
    "strides": [4, 1, 2, 1], "context_norm": "instance", "features": 32, "hidden": 32, "levels": 1, "radius": 3,
    "motion_widths": [32, 32, 24, 16], "mask_width": 32, "kernels": [7, 7], "expansion": 1.0, "iterations": 1,
    "memory_frames": 1, "memory_pool": 4, "average_tokens": 256, "volume_limit": 512,
    "start": {**START, "levels": 5, "finest": 3, "iterations": 2},
    "refiner": {"_target_": "flowchroma.models.memflow.Refiner", "hidden": 32, "scales": [4, 2], "steps": [1, 2]},
    "confidence": {"_target_": "flowchroma.models.memflow.Photometric"},
    "cut": {"_target_": "flowchroma.ops.is_cut", "_partial_": True}, "checkpoint": None,
}  # fmt: skip
EARLIER = {
    "_target_": "flowchroma.models.MemFlow", "channels": 1, "widths": [32, 48, 64], "blocks": 1,
    "context_norm": "instance", "features": 64, "hidden": 48, "levels": 3, "radius": 3,
    "motion_widths": [64, 48, 32, 16], "mask_width": 64, "kernels": [7, 7], "expansion": 1.0, "iterations": 3,
    "memory_frames": 1, "memory_pool": 2, "average_tokens": 256, "start": {**START, "finest": 1}, "checkpoint": None,
}  # fmt: skip
LARGE = {
    "_target_": "flowchroma.models.MemFlow", "channels": 3, "widths": [16, 24, 32], "blocks": 2,
    "context_norm": "batch", "features": 32, "hidden": 32, "levels": 4, "radius": 4, "motion_widths": [64, 48, 32, 16],
    "mask_width": 64, "kernels": [15, 7], "expansion": 1.5, "iterations": 3, "memory_frames": 1,
    "average_tokens": 6624, "volume_limit": 512, "start": None, "checkpoint": None,
}  # fmt: skip


def recorded(folder: Path, stage: str, **parts: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create({"stage": {"name": stage}, **parts}), folder / "config.yaml")
    return folder / "config.yaml"


def as_before(flow: dict[str, Any]) -> dict[str, Any]:
    """A config of today in the form of the one class."""
    sizes = {key: value for key, value in flow["architecture"].items() if key != "_target_"}
    rest = {key: value for key, value in flow.items() if key != "architecture"}
    return {"mask_width": 32, **rest, **sizes, "_target_": "flowchroma.models.MemFlow"}


@torch.no_grad()
def third_flow(network: torch.nn.Module) -> tuple[Tensor, Tensor]:
    """Flow and confidence of a film's third frame, with weights and frames that are the same everywhere."""
    for place, parameter in enumerate(network.eval().parameters()):
        waves = torch.sin(0.7 * torch.arange(parameter.numel()) + place).view(parameter.shape)
        parameter.copy_(0.5 * waves / max(1, parameter[0].numel()) ** 0.5)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(96.0), indexing="ij")
    state = None
    for t in range(3):
        luma = 50 + 20 * torch.sin((x - 1.5 * t) / 5) + 20 * torch.cos((y + x / 3 + t) / 7)
        flow, state = network.step(luma[None, None], state)
    return flow.flow, flow.confidence


@pytest.mark.parametrize(
    ("record", "network", "mean", "spread", "confidence"),
    [
        (SMALL, MemFlowSmall, [-1.44016, 0.309588], 0.895479, 0.877986),
        ({**SMALL, "refiner": None}, MemFlow, [1.091714, 3.898865], 1.541725, 0.622602),
        (EARLIER, MemFlow, [6.721191, 1.444998], 2.816564, 0.400662),
        (LARGE, MemFlow, [-3.897311, -19.350065], 8.249585, 0.350928),
    ],
    ids=["compact", "without refiner", "before the refiner", "published"],
)
def test_an_earlier_network_gives_the_numbers_that_it_gave(
    tmp_path: Path, record: dict[str, Any], network: type, mean: list[float], spread: float, confidence: float
) -> None:
    config = read_record(recorded(tmp_path, "memflow", model=record)).model
    made = instantiate({key: value for key, value in config.items() if key != "checkpoint"})
    assert type(made) is network
    flow, trusted = third_flow(made)
    assert flow.mean(dim=(0, 2, 3)).tolist() == pytest.approx(mean, rel=1e-3)
    assert float(flow.std()) == pytest.approx(spread, rel=1e-3)
    assert float(trusted.mean()) == pytest.approx(confidence, rel=1e-3)


@pytest.mark.parametrize("record", [SMALL, EARLIER], ids=["compact", "before the refiner"])
def test_a_run_of_an_earlier_release_is_a_colorizer(tmp_path: Path, record: dict[str, Any]) -> None:
    path = recorded(tmp_path / "run", "memflow", model=record)
    trained = instantiate({key: value for key, value in read_record(path).model.items() if key != "checkpoint"})
    save_weights(trained, path.with_name("weights.safetensors"))
    luma = [100 * torch.rand(1, 1, 48, 64).cumsum(-1) / 64 for _ in range(2)]
    loaded = load_run(str(tmp_path / "run")).flow
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in trained.state_dict().items())
    assert torch.isfinite(loaded.step(luma[1], loaded.step(luma[0], None)[1])[1].features).all()


def test_what_shipped_with_its_former_record_is_what_ships(tmp_path: Path) -> None:
    today = OmegaConf.to_container(OmegaConf.load(SHIPPED_SYSTEM.with_name("config.yaml")))
    assert isinstance(today, dict)
    today["stage"]["flow"] = as_before(today["stage"]["flow"])
    OmegaConf.save(OmegaConf.create(today), tmp_path / "config.yaml")
    shutil.copy(SHIPPED_SYSTEM, tmp_path / SHIPPED_SYSTEM.name)
    before, after = (load_part("flow", path) for path in (str(tmp_path), None))
    film = 100 * torch.rand(1, 1, 10, 20).repeat_interleave(8, -1).repeat_interleave(8, -2)
    found = [net.step(film[..., 2:130], net.step(film[..., :128], None)[1])[0] for net in (before, after)]
    assert torch.equal(found[0].colour_flow, found[1].colour_flow)


def test_a_record_of_today_stays_as_it_is(compose, tmp_path: Path) -> None:
    for name in ("memflow", "memflow_small"):
        config = compose("stage=memflow", f"model={name}")
        record = {"optimized_metric": "val/psnr", "model": OmegaConf.to_container(config.model, resolve=True)}
        OmegaConf.save(OmegaConf.create(record), tmp_path / "config.yaml")
        assert read_record(tmp_path / "config.yaml") == OmegaConf.load(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("options", "place", "changed"),
    [
        (["stage=memflow"], "model", "model.architecture.hidden=16"),
        (["stage=memflow", "model=memflow"], "model", "model.architecture.hidden=16"),
        (["stage=fusion"], "stage.flow", "stage.flow.architecture.hidden=16"),
    ],
)
def test_a_run_of_an_earlier_release_goes_on(
    compose, tmp_path: Path, capsys, options: list[str], place: str, changed: str
) -> None:
    def config(*more: str):
        composed = compose(*options, *more)
        OmegaConf.set_struct(composed, False)
        return OmegaConf.merge(composed, {"run_dir": str(tmp_path), "name": "run"})

    then = OmegaConf.create(OmegaConf.to_container(config(), resolve=True))
    former = as_before(OmegaConf.to_container(OmegaConf.select(then, place)))
    OmegaConf.update(then, place, former, merge=False)
    assert OmegaConf.select(then, f"{place}.architecture") is None
    OmegaConf.save(then, tmp_path / "config.yaml")
    CheckpointFiles().save_checkpoint({"step": 1}, tmp_path / "checkpoints" / LAST)
    assert checkpoint_to_resume(config("resume=last")) == tmp_path / "checkpoints" / LAST
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=f"another network or stage: {changed}"):
        checkpoint_to_resume(config("resume=last", changed))
