"""The config.yaml that a run leaves, also one that an earlier release wrote."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf


def _weights_apart(record: dict[str, Any]) -> dict[str, Any]:
    """Each network's `checkpoint` was an entry of its own config, and is `weights.NAME` today."""
    stage = record.get("stage") or {}
    networks = {"model": record.get("model"), "flow": stage.get("flow"), "matcher": stage.get("matcher")}
    old = {name: network for name, network in networks.items() if network and "checkpoint" in network}
    moved = {name: network["checkpoint"] for name, network in old.items()}
    kept = {name: {k: v for k, v in network.items() if k != "checkpoint"} for name, network in old.items()}
    if "model" in kept:
        record = {**record, "model": kept.pop("model")}
    record = {**record, "stage": {**stage, **kept}} if kept else record
    return {**record, "weights": {**moved, **(record.get("weights") or {})}} if moved else record


def _no_list_of_models(record: dict[str, Any]) -> dict[str, Any]:
    """`stage.fits` listed the models of a stage, which the stage's class tells today."""
    stage = record.get("stage") or {}
    return {**record, "stage": {k: v for k, v in stage.items() if k != "fits"}} if "fits" in stage else record


def _one_metric(record: dict[str, Any]) -> dict[str, Any]:
    """The best weights were always chosen by val/psnr before there was `optimized_metric`."""
    return {"optimized_metric": "val/psnr", **record} if record else record


# Each takes a plain config and gives it in today's form; one that is of today's form already comes back as it is.
_UPGRADES: Sequence[Callable[[dict[str, Any]], dict[str, Any]]] = (_weights_apart, _no_list_of_models, _one_metric)


def upgrade_record(record: dict[str, Any]) -> dict[str, Any]:
    """Today's form of a run's config, which any release may have written."""
    for upgrade in _UPGRADES:
        record = upgrade(record)
    return record


def read_record(path: Path) -> DictConfig:
    """Read the config that a run was composed of, in today's form.

    Args:
        path: its config.yaml.
    """
    record: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return OmegaConf.create(upgrade_record(record))
