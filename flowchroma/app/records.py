"""The config.yaml that a run leaves, also one that an earlier release wrote."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

_ERROR_MODEL = {
    "_target_": "flowchroma.models.ErrorModel",
    **{"scale": 10.0, "least": 0.3, "most": 90.0, "noise": 0.5, "matched": 3.0, "per_similarity": 20.0},
    **{"per_luma": 0.6, "recent": 1.4, "sharpness": 0.8},
}


def _with_error_model(record: dict[str, Any]) -> dict[str, Any]:
    """Add the constants that were none of the config's."""
    model = record.get("model") or {}
    if str(model.get("_target_")).endswith(".BlendFusion") and "error_model" not in model:
        return {**record, "model": {**model, "error_model": _ERROR_MODEL}}
    return record


# Each takes a plain config and gives it in today's form; one that is of today's form already comes back as it is.
_UPGRADES: Sequence[Callable[[dict[str, Any]], dict[str, Any]]] = (_with_error_model,)


def read_record(path: Path) -> DictConfig:
    """Read the config that a run was composed of, in today's form.

    Args:
        path: its config.yaml.
    """
    record: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    for upgrade in _UPGRADES:
        record = upgrade(record)
    return OmegaConf.create(record)
