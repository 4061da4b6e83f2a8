"""An evaluation from its options."""

import os
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from flowchroma import __version__
from flowchroma.app.evaluate.scored_methods import methods, predictions
from flowchroma.app.settings import pick_device
from flowchroma.app.systems import load_part
from flowchroma.errors import UserError
from flowchroma.evaluation import Evaluation, Protocol, ScoreStore, load_perceptual_networks
from flowchroma.film import Film
from flowchroma.models.contracts import Matcher
from flowchroma.plans import choose_stills


def prepare_evaluation(config: DictConfig, number: int = 0, processes: int = 1) -> tuple[Evaluation, dict[str, Any]]:
    """Build an evaluation from its options, and its report's header, in process `number` of `processes`."""
    protocol = Protocol(
        config.reference,
        _listed(config.resize),
        config.frames,
        config.size,
        _listed(config.keyframes),
        config.directions,
        _stills_chooser(config.checkpoint),
    )
    if "sources" not in config.data:
        raise UserError("data=rollouts holds no films: choose another set, see --help", code=2)
    name = "+".join(config.data.sources)
    films, listed = instantiate(config.data).test_films()
    device = pick_device(config.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", number % torch.cuda.device_count())
    if processes > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    store = ScoreStore(Path(config.output), {"set": name, **protocol.identity()})
    entrants = {**methods(config, protocol, device), **predictions(config, protocol, len(films) == 1)}
    if not entrants:
        raise UserError("nothing to score: give method=NAME, or predictions=FOLDER; see --help")
    networks = load_perceptual_networks(config.lpips, config.fid, config.weights, config.download, device)
    header = {"set": name, "clips": f"{len(films)} of {listed}", **protocol.describe(), **_machine(device, processes)}
    return Evaluation(films, entrants, protocol, networks, store, device), header


def _machine(device: torch.device, processes: int) -> dict[str, Any]:
    """What a report says of the command and of what ran it."""
    import cv2  # the flow that judges warp error is its

    on_cuda = device.type == "cuda"
    return {
        "command": shlex.join(["python", "-m", "flowchroma.evaluate", *sys.argv[1:]]),
        "device": torch.cuda.get_device_name(device) if on_cuda else f"{device.type}, {processes} processes",
        "versions": {
            "flowchroma": __version__,
            "torch": str(torch.__version__),
            "opencv": str(cv2.__version__),
            "python": platform.python_version(),
        },
    }


def _stills_chooser(checkpoint: str | None) -> Callable[[Film, int], Sequence[int]]:
    def choose(film: Film, count: int) -> Sequence[int]:
        matcher = load_part("matcher", checkpoint)
        assert isinstance(matcher, Matcher)
        return choose_stills(film, matcher, count)

    return choose


def count_processes(config: DictConfig) -> int:
    """How many processes share the clips: one a GPU, or as many as the option says; a `UserError` below 1."""
    if config.processes == "auto":
        return max(1, torch.cuda.device_count()) if pick_device(config.device).type == "cuda" else 1
    if not isinstance(config.processes, int) or config.processes < 1:
        raise UserError(f"processes must be auto or a number from 1 on, not {config.processes}", code=2)
    return config.processes


def _listed(value: Any) -> tuple[Any, ...] | None:
    if value is None:
        return None
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
