"""Networks by the class that their configuration names."""

from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.settings import CONF
from flowchroma.errors import UserError
from flowchroma.models import BidirectionalFusion
from flowchroma.models.contracts import FlowNetwork, Fusion, Matcher
from flowchroma.weights.files import load_weights

# The attribute of a `FlowChroma` that holds a network of each kind.
PARTS: Mapping[Any, str] = {
    FlowNetwork: "flow",
    Matcher: "matcher",
    Fusion: "fusion",
    BidirectionalFusion: "bidirectional",
}


def find_target(target: Any, where: str = "") -> Any:
    """The class or function that a `_target_` names.

    Args:
        target: its dotted name.
        where: the option that it belongs to, for messages.

    Raises:
        UserError: it names none that can be imported.
    """
    place, _, name = str(target).rpartition(".")
    try:
        return getattr(resolve_name(place), name)  # a function may have the name of the module that it comes from
    except Exception as error:  # importing a module can raise anything
        reason = " ".join(str(error).split()) if place else "give a dotted name, as package.module.Class"
        raise UserError(f"{where}._target_={target} cannot be imported: {reason}".lstrip("."), code=2) from error


def class_of(config: Any, where: str = "") -> type:
    """The class that the `_target_` of a config names.

    Args:
        config: of what is to be built.
        where: its option, for messages.

    Raises:
        UserError: it names none, or one that cannot be imported.
    """
    target = config.get("_target_") if OmegaConf.is_dict(config) else None
    found = find_target(target, where)
    if not isinstance(found, type):
        raise UserError(f"{where}._target_={target} is no class: name one".lstrip("."), code=2)
    return found


def kind_of(network: type) -> Any:
    """The contract that a class fulfils, one of those in `PARTS`; a `UserError` for another class."""
    for contract in PARTS:
        if issubclass(network, contract):
            return contract
    raise UserError(f"{network.__name__} is no network: flowchroma/models/contracts.py says what one gives", code=2)


def part_of(config: DictConfig) -> str:
    """Which part of a system a network is: "flow", "matcher", "fusion" or "bidirectional"."""
    return PARTS[kind_of(class_of(config))]


def model_configs_for(contract: Any) -> list[str]:
    """The files of conf/model whose networks fulfil a contract."""
    files = sorted(Path(CONF, "model").glob("*.yaml"))
    return [file.stem for file in files if kind_of(class_of(OmegaConf.load(file))) is contract]


def build_network(config: DictConfig, weights: str | Path | None = None) -> Any:
    """Build the network of a file of conf/model, with all its weights from `weights` if given, see `find_weights`."""
    if weights is None:
        return instantiate(config)
    network = build_without_weights(config)
    load_weights(network, weights, part_of(config))
    return network


def build_without_weights(config: DictConfig) -> Any:
    """Build a network that is to get all its weights from a file: pretrained ones of its trunk are not looked for."""
    own = {"trunk": {"weights": "none"}} if "weights" in (config.get("trunk") or {}) else {}
    return instantiate(OmegaConf.merge(config, own))
