"""The config.yaml that a run leaves, also one that an earlier release wrote."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowchroma.app.loss_records import upgrade_loss

# Each takes a plain config and gives it in today's form; one that is of today's form already comes back as it is.
_UPGRADES: Sequence[Callable[[dict[str, Any]], dict[str, Any]]] = (upgrade_loss,)


def read_record(path: Path) -> DictConfig:
    """Read the config that a run was composed of, in today's form.

    Args:
        path: its config.yaml.
    """
    record: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    for upgrade in _UPGRADES:
        record = upgrade(record)
    return OmegaConf.create(record)
