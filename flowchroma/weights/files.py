"""Weights in and out of files, whole or not at all."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from flowchroma.errors import UserError
from flowchroma.files.tensors import write_tensors
from flowchroma.models.flowchroma import FlowChroma
from flowchroma.models.trunks.frozen import FrozenTrunk
from flowchroma.weights import SHIPPED_SYSTEM
from flowchroma.weights.cache import read_file
from flowchroma.weights.published_checkpoints import published_extras, published_files

WEIGHTS = "weights.safetensors"
_LAST = "bidirectional"
_PARTS = ("flow", "matcher", "fusion", _LAST)  # of a system


def learned_state(network: nn.Module) -> dict[str, Tensor]:
    """The network's state without the pretrained trunks that ship by themselves."""
    trunks = tuple(f"{name}." for name, module in network.named_modules() if isinstance(module, FrozenTrunk))
    return {k: v for k, v in network.state_dict().items() if not (trunks and k.startswith(trunks))}


def save_weights(network: nn.Module, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write `learned_state` as safetensors; see `write_tensors`."""
    learned = learned_state(network)
    state = {k: (v.to(dtype) if v.is_floating_point() else v).contiguous().cpu() for k, v in learned.items()}
    write_tensors(path, state)


@dataclass(frozen=True)
class Fingerprint:
    """Hashes of what a system's estimates depend on: what its networks have learnt, as it ships, and constants.

    The fusion of both sides is no part of it: it reads the estimates.
    """

    networks: str  # of flow and matching, of the error model, and of which coloured frames are kept
    fusion: str  # of the fusion's weights

    @classmethod
    def of(cls, system: FlowChroma) -> "Fingerprint":
        """The fingerprint of a system."""
        kept = {name: value for name, value in sorted(learned_state(system).items()) if not _is_of(name, _LAST)}
        fusion = {name: value for name, value in kept.items() if _is_of(name, "fusion")}
        networks = {name: value for name, value in kept.items() if name not in fusion}
        constants = f"{system.fusion.error_model} {system.recent} {system.every}"
        return cls(_hash(constants, networks), _hash("", fusion))

    def fits(self, other: "Fingerprint", trains: str) -> bool:
        """Whether what the other system found may train a part of this one; a fusion learns from any fusion's."""
        return self.networks == other.networks and (trains == "fusion" or self.fusion == other.fusion)


def _is_of(name: str, part: str) -> bool:
    return name.startswith(f"{part}.")


def _hash(text: str, state: Mapping[str, Tensor]) -> str:
    content = hashlib.sha256(text.encode())
    for name, value in state.items():
        kept = value.half() if value.is_floating_point() else value
        content.update(name.encode() + kept.contiguous().cpu().numpy().tobytes())
    return content.hexdigest()[:16]


def find_weights(where: str | Path) -> Path:
    """The file behind `where`: "shipped", a run's directory, or a .ckpt, .pth or .safetensors file."""
    if str(where) == "shipped":
        return SHIPPED_SYSTEM
    path = Path(where)
    if path.is_dir():
        candidates = [path / WEIGHTS, path / "checkpoints" / "best.ckpt", path / "checkpoints" / "last.ckpt"]
        found = next((c for c in candidates if c.is_file()), None)
        if found is None:
            raise UserError(f"{path} holds no weights: a run's directory has {WEIGHTS} once training has ended")
        return found
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}: give a run's directory, a .ckpt or a .safetensors file")
    return path


def load_weights(network: nn.Module, where: str | Path, part: str | None = None) -> None:
    """Fill a network from a file, all of it or nothing.

    Args:
        network: any of the networks.
        where: see `find_weights`.
        part: "flow", "matcher", "fusion" or "bidirectional": what to take where the file holds a whole system.

    Raises:
        UserError: no such file, unreadable, or of another network; the message lists what does not fit.
    """
    if parts := published_files(network, where):
        path = Path(where)
        state: Mapping[str, Tensor] = {f"{name}.{k}": v for name, file in parts.items() for k, v in _read(file).items()}
    else:
        path = find_weights(where)
        state = _read(path)
    if part and any(key.partition(".")[0] in _PARTS for key in state):  # a part may have no weights
        state = {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(f"{part}.")}
    trunk = network.state_dict().keys() - learned_state(network).keys()
    extras = published_extras(network, state)
    own = {k: v.shape for k, v in learned_state(network).items()} | extras
    if wrong := _differences(own, {k: v.shape for k, v in state.items() if k not in trunk}):
        raise UserError(f"{path} is of another network than {type(network).__name__} as configured: {wrong}")
    used = {k: v.float() if v.is_floating_point() else v for k, v in state.items() if k not in extras}
    network.load_state_dict(used, strict=False)


def differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What a table of weights has that a network has not, or in another shape, or lacks; nothing where it fits."""
    return _differences({k: v.shape for k, v in own.items()}, {k: v.shape for k, v in given.items()})


def _differences(own: Mapping[str, Sequence[int]], given: Mapping[str, Sequence[int]]) -> str:
    both = [k for k in own if k in given]
    wrong = [f"{k} missing" for k in own if k not in given]
    wrong += [f"{k} unknown" for k in given if k not in own]
    wrong += [f"{k} {tuple(given[k])} instead of {tuple(own[k])}" for k in both if tuple(given[k]) != tuple(own[k])]
    return ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")


def _read(path: Path) -> Mapping[str, Tensor]:
    """The table of weights in a file, inside what a training program saved around it."""
    state = read_file(path)
    for wrapper in ("state_dict", "model", "params"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
            break
    if not isinstance(state, Mapping) or not all(isinstance(k, str) for k in state):
        raise UserError(f"{path} is not a table of tensors by name")
    # Lightning keeps the network beside the losses; several processes at a time put "module." before every name.
    if any(k.startswith("network.") for k in state):
        state = {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
    if state and all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    if not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path} is not a table of tensors by name")
    return state
