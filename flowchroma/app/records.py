"""The config.yaml that a run leaves, also one that an earlier release wrote."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowchroma.app.loss_records import upgrade_loss

_ARCHITECTURE = (
    "channels", "widths", "blocks", "strides", "context_norm", "features", "hidden", "levels", "radius",
    "motion_widths", "kernels", "expansion",
)  # fmt: skip


def _two_flow_networks(record: Any) -> Any:
    """MemFlow was one class for both networks, told apart by whether it had a refiner, with its sizes as arguments."""
    if isinstance(record, list):
        return [_two_flow_networks(value) for value in record]
    if not isinstance(record, dict):
        return record
    if record.get("_target_") == "flowchroma.models.MemFlow" and "architecture" not in record:
        return _flow_network(record)
    return {key: _two_flow_networks(value) for key, value in record.items()}


def _flow_network(old: dict[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in old.items() if key not in (*_ARCHITECTURE, "_target_", "refiner")}
    sizes = {key: old[key] for key in _ARCHITECTURE if key in old}
    new = {"architecture": {"_target_": "flowchroma.models.memflow.Architecture", **sizes}, **options}
    refiner = old.get("refiner")
    if refiner is None:
        return {"_target_": "flowchroma.models.MemFlow", **new}
    new.pop("mask_width", None)  # of a part that there is only without a refiner
    if refiner.get("hidden") == "${..hidden}":
        refiner = {**refiner, "hidden": "${..architecture.hidden}"}
    return {"_target_": "flowchroma.models.MemFlowSmall", **new, "refiner": refiner}


_ERROR_MODEL = {
    "_target_": "flowchroma.models.ErrorModel",
    **{"scale": 10.0, "least": 0.3, "most": 90.0, "noise": 0.5, "matched": 3.0},
    **{"per_luma": 0.6, "recent": 1.4, "sharpness": 0.8},
}
_PER_SIMILARITY = {  # of fusions whose configs had no constants
    "BlendFusion": 20.0,
    **dict.fromkeys(("InverseVarianceFusion", "PlaceholderFusion", "SimpleFusion", "UNetFusion"), 5.0),
}


def _constants_of_errors(record: dict[str, Any]) -> dict[str, Any]:
    """Add the constants that were none of the config's."""
    model = record.get("model") or {}
    slope = _PER_SIMILARITY.get(str(model.get("_target_")).rpartition(".")[2])
    if slope is None or "error_model" in model:
        return record
    return {**record, "model": {**model, "error_model": {**_ERROR_MODEL, "per_similarity": slope}}}


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
_UPGRADES: Sequence[Callable[[dict[str, Any]], dict[str, Any]]] = (
    _two_flow_networks,
    _constants_of_errors,
    upgrade_loss,
    _weights_apart,
    _no_list_of_models,
    _one_metric,
)


def upgrade_record(record: dict[str, Any]) -> dict[str, Any]:
    """Today's form of a run's config, which any release may have written."""
    for upgrade in _UPGRADES:
        record = upgrade(record)
    return record


def read_record(path: Path) -> DictConfig:
    """Read the config.yaml that a run was composed of, in today's form."""
    record: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return OmegaConf.create(upgrade_record(record))
