"""Trained networks, ready to colour, from a run's directory or from what ships."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from flowchroma.app.networks import PARTS, build_without_weights, part_of
from flowchroma.app.records import read_record
from flowchroma.colorizers import MatchingAlone, PropagationAlone
from flowchroma.errors import UserError
from flowchroma.models import FlowChroma
from flowchroma.models.contracts import Fusion
from flowchroma.weights import SHIPPED_SYSTEM
from flowchroma.weights.files import find_weights, load_weights

Checkpoint = str | Path | None
WHOLE = ("fusion", "bidirectional")  # parts whose training leaves a whole system


@dataclass(frozen=True)
class SystemRecord:
    """The configs of a system's networks, as the run that left it recorded them."""

    flow: DictConfig
    matcher: DictConfig
    fusion: DictConfig
    bidirectional: DictConfig | None
    memory: dict[str, Any]  # `recent` and `every` of `FlowChroma`

    @classmethod
    def of(cls, config: DictConfig) -> "SystemRecord":
        """Of the record of a run of stage fusion or bidirectional, or of what ships."""
        stage, trained = config.stage, config.model
        both = part_of(trained) == "bidirectional"
        module = stage.get("module") or {}
        memory = {name: module[name] for name in ("recent", "every") if name in module}
        fusion, last = (stage.fusion, trained) if both else (trained, stage.get("bidirectional"))
        return cls(stage.flow, stage.matcher, fusion, last, memory)

    def build(self) -> FlowChroma:
        """The system, without its weights."""
        flow, matcher, fusion = (build_without_weights(config) for config in (self.flow, self.matcher, self.fusion))
        both = None if self.bidirectional is None else build_without_weights(self.bidirectional)
        return FlowChroma(flow, matcher, fusion, **self.memory, bidirectional=both)


def load_system(checkpoint: Checkpoint = None, fusion: Fusion | None = None) -> FlowChroma:
    """The three networks, ready to colour.

    Args:
        checkpoint: directory of a run of stage fusion or bidirectional; None takes the weights that ship with the
            package.
        fusion: stands in for the fusion that was trained.

    Returns:
        The system in evaluation mode, without gradients.

    Raises:
        UserError: no such run, or one of another stage.
    """
    weights, config = _open(checkpoint)
    record = _system_record(checkpoint, config)
    system = record.build()
    load_weights(system, weights)
    if fusion is not None:
        system = FlowChroma(system.flow, system.matcher, fusion, **record.memory, bidirectional=system.bidirectional)
    return _frozen(system)


def read_system(checkpoint: Checkpoint = None) -> SystemRecord:
    """The configs of a system's networks; see `load_system`."""
    return _system_record(checkpoint, _open(checkpoint)[1])


def load_part(part: str, checkpoint: Checkpoint = None) -> nn.Module:
    """One of the networks, ready to use.

    Args:
        part: "flow" or "matcher".
        checkpoint: directory of a run that trained it, or of a fusion run that used it; None takes the shipped weights.

    Raises:
        UserError: no such run, or one without that network.
    """
    weights, config = _open(checkpoint)
    trained = part_of(config.model)
    if trained in WHOLE:
        return getattr(load_system(checkpoint), part)
    if trained != part:
        raise UserError(
            f"{checkpoint} is a run of stage {config.stage.name}, which trained no {part}: give one that did, or one"
            " of stage=fusion"
        )
    network = build_without_weights(config.model)
    load_weights(network, weights, part)
    return _frozen(network)


def load_networks(checkpoint: Checkpoint = None) -> dict[str, nn.Module]:
    """All networks that a run trained or used, ready to use, by their attributes of `FlowChroma`; see `load_system`."""
    trained = part_of(_open(checkpoint)[1].model)
    if trained not in WHOLE:
        return {trained: load_part(trained, checkpoint)}
    system = load_system(checkpoint)
    found = {part: getattr(system, part) for part in PARTS.values()}
    return {part: network for part, network in found.items() if network is not None}


def load_run(checkpoint: Checkpoint) -> FlowChroma | PropagationAlone | MatchingAlone:
    """What a run trained, as a colorizer of its own: the system, propagation alone, or matching alone."""
    part = part_of(_open(checkpoint)[1].model)
    if part == "flow":
        return PropagationAlone(load_part(part, checkpoint))  # type: ignore[arg-type]
    return load_system(checkpoint) if part in WHOLE else MatchingAlone(load_part(part, checkpoint))  # type: ignore[arg-type]


def _open(checkpoint: Checkpoint) -> tuple[Path, Any]:
    """A run's weights and its config."""
    weights = SHIPPED_SYSTEM if checkpoint in (None, "shipped") else find_weights(str(checkpoint))
    folders = [weights.parent, weights.parent.parent]
    record = next((f / "config.yaml" for f in folders if (f / "config.yaml").is_file()), None)
    if record is None:
        raise UserError(f"no config.yaml beside {weights}: name the run's directory, which holds both")
    return weights, read_record(record)


def _system_record(checkpoint: Checkpoint, config: DictConfig) -> SystemRecord:
    if part_of(config.model) not in WHOLE:
        raise UserError(f"{checkpoint} is a run of stage {config.stage.name}: give one of stage=fusion")
    return SystemRecord.of(config)


def _frozen(network: Any) -> Any:
    return network.requires_grad_(False).eval()
