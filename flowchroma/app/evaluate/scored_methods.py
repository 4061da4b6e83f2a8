"""The methods, runs and finished frames that an evaluation's options name."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from flowchroma.app.evaluate.method_option import reserved_names
from flowchroma.app.systems import load_run
from flowchroma.colorizers import Painter
from flowchroma.errors import UserError
from flowchroma.evaluation import (
    EvaluatedMethod,
    FrameColorizer,
    KeyframedSystem,
    Predictions,
    Protocol,
    find_clip,
    fingerprint,
)
from flowchroma.film import Film
from flowchroma.models import FlowChroma
from flowchroma.models.ready import ready_to_colour


def methods(config: DictConfig, protocol: Protocol, device: torch.device) -> dict[str, EvaluatedMethod]:
    """The methods and runs that the options name, ready to colour."""
    named = config.get("method") or {}  # Hydra leaves nothing of an empty list
    made = {}
    for name, chosen in named.items():
        # What is built without weights is the same in every process, and in a second run.
        torch.manual_seed(config.seed)
        made[name] = instantiate(chosen)
    made |= {name: load_run(path) for name, path in config.runs.items()}
    entrants = {}
    for name, colorizer in made.items():
        about: dict[str, Any] = {}
        if chosen := named.get(name):
            about |= {key: value for key, value in chosen.items() if isinstance(value, str | int) and key[0] != "_"}
        else:
            about["checkpoint"] = config.runs[name]
        if isinstance(colorizer, torch.nn.Module):
            colorizer.to(device)
            about["parameters"] = sum(p.numel() for p in colorizer.parameters())
            about["weights, SHA-256"] = _fingerprint(colorizer)
        if isinstance(colorizer, FlowChroma):
            ready_to_colour(colorizer)
        if protocol.keyframes is not None:
            about["directions"] = protocol.directions if isinstance(colorizer, FlowChroma) else "forward"
        entrants[name] = EvaluatedMethod(_start_clip(colorizer, protocol, device, Path(config.output)), about)
    return entrants


def predictions(config: DictConfig, protocol: Protocol, alone: bool) -> dict[str, EvaluatedMethod]:
    """Frames that were coloured elsewhere, if the options name a folder of them, which must not have a method's name.

    `alone` says that one clip is scored, whose frames may lie in the folder itself.
    """
    if not config.predictions:
        return {}
    folder = Path(config.predictions).expanduser()
    name = folder.resolve().name
    if name in reserved_names() or name in (config.get("method") or {}) or name in config.runs:
        raise UserError(
            f"predictions={config.predictions} would be listed as {name}, a name that is taken: rename the folder"
        )

    def frames(film: Film) -> str | None:
        try:
            return fingerprint(find_clip(folder, film.name, alone))
        except UserError:  # reported when the clip is scored
            return None

    about = {"predictions": str(config.predictions)}
    if protocol.keyframes is not None:
        about["directions"] = "unknown: coloured elsewhere"
    return {name: EvaluatedMethod(lambda film: Predictions(folder, film, protocol, alone), about, frames)}


def _start_clip(
    colorizer: Any, protocol: Protocol, device: torch.device, folder: Path
) -> Callable[[Film], FrameColorizer]:
    """What colours a clip with a colorizer: from keyframes on both sides of a frame, if it can."""
    if protocol.keyframes is not None and isinstance(colorizer, FlowChroma):
        return lambda film: KeyframedSystem(colorizer, film, protocol, device, folder)
    painter = colorizer if isinstance(colorizer, Painter) else Painter(colorizer, protocol.size)
    return lambda film: painter


def _fingerprint(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
