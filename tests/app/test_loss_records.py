"""Records of releases whose losses were built by a function each."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flowchroma.app.records import read_record

# The files of conf/loss as they were.
COLOR = {"_target_": "flowchroma.losses.color_loss", "l1": 1.0}
TRUNK = {"trunk": "vgg19", "weights": "auto", "download": True}
FLOW = {"_target_": "flowchroma.losses.flow_loss", "color": 1.0, "photometric": 0.0, "order": 1, "gamma": 0.85}
OLD = {
    "flowchroma": {**COLOR, "perceptual": 0.05, "contextual": 0.1, "temporal": 0.5, **TRUNK},
    "l1": {**COLOR, "perceptual": 0.0, "contextual": 0.0, "temporal": 0.0},
    "matching": {**COLOR, "perceptual": 0.05, "contextual": 0.015, "temporal": 0.0, **TRUNK},
    "swintexco": {
        "_target_": "flowchroma.losses.swintexco_loss", "_partial_": True, "l1": 1.0, "perceptual": 0.15,
        "contextual": 0.015, "smoothness": 150.0, "temporal": 0.0, "levels": [1.0, 2.0, 4.0, 8.0],
    },
    "flow": {**FLOW, "epe": 0.1, "census": 0.0, "smoothness": 0.0},
    "flow_self": {**FLOW, "epe": 0.0, "census": 0.3, "smoothness": 0.05},
}  # fmt: skip


def upgraded(loss: dict, folder: Path) -> dict:
    OmegaConf.save(OmegaConf.create({"seed": 0, "loss": loss}), folder / "config.yaml")
    return OmegaConf.to_container(read_record(folder / "config.yaml").loss)


def today(compose, *options: str) -> dict:
    return OmegaConf.to_container(compose(*options).loss, resolve=True)


@pytest.mark.parametrize("name", OLD)
def test_a_loss_that_did_not_change_is_the_same(compose, tmp_path: Path, name: str) -> None:
    assert upgraded(OLD[name], tmp_path) == today(compose, f"loss={name}")
    assert upgraded(today(compose, f"loss={name}"), tmp_path) == today(compose, f"loss={name}")


def test_options_are_found_where_they_are_now(compose, tmp_path: Path) -> None:
    color = {**OLD["flowchroma"], "temporal": 0.2, "weights": "shipped", "alpha": 10.0, "bandwidth": 0.5}
    moved = ["loss.terms.temporal.alpha=10.0", "loss.terms.contextual.bandwidth=0.5"]
    assert upgraded(color, tmp_path) == today(compose, "loss.temporal=0.2", "loss.weights=shipped", *moved)
    flow = {**OLD["flow"], "gamma": 0.6, "order": 2}
    assert upgraded(flow, tmp_path) == today(compose, "loss=flow", "loss.gamma=0.6", "loss.order=2")
    assert upgraded(flow, tmp_path) != today(compose, "loss=flow", "loss.gamma=0.6")


def test_a_record_without_a_loss_stays(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("optimized_metric: val/epe\nseed: 3\n")
    assert read_record(tmp_path / "config.yaml") == {"optimized_metric": "val/epe", "seed": 3}
