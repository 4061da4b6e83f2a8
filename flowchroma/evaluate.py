"""Score methods on whole clips: python -m flowchroma.evaluate method=[dis,fusion] data=SET data.root=DIR output=DIR."""

import hashlib
import multiprocessing
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import Progress

from flowchroma import __version__
from flowchroma.errors import UserError
from flowchroma.evaluation import Entrant, Evaluation, Predictions, Protocol, Store, collect, find_judges
from flowchroma.evaluation.report import print_table, write_csv, write_html, write_json
from flowchroma.loading import load_run
from flowchroma.models import Painter
from flowchroma.options import command, parts_of
from flowchroma.settings import CONF, pick_device, quiet

_TEXTS = ("data.root", "output", "checkpoint", "predictions", "weights", "runs")


def main() -> None:
    """Run the command."""
    sys.argv[1:] = _with_runs(sys.argv[1:])
    command("evaluate", run, _TEXTS, "what was scored is kept: run it again to go on")


def run(config: DictConfig) -> None:
    """Score what has no score yet, in one process or several, and write the report."""
    if config.output in (None, ""):
        raise UserError("no output: give output=DIR, which gets the report, or --help")
    processes = _processes(config)
    others = []
    if processes > 1:
        plain = OmegaConf.to_container(config, resolve=True)
        start = multiprocessing.get_context("spawn").Process
        others = [start(target=_help, args=(plain, number, processes)) for number in range(1, processes)]
    evaluation, header = prepare(config, 0, processes)
    for process in others:
        process.start()
    with _bar(len(evaluation.films)) as progress:
        problems = evaluation.run(wait=not others, progress=progress)
    for process in others:
        process.join()
        if process.exitcode:
            print(
                f"flowchroma: a process ended with exit code {process.exitcode}: going on without it", file=sys.stderr
            )
    if others:
        problems = evaluation.run(wait=True)
    _write(evaluation, header, problems, Path(config.output))


def prepare(config: DictConfig, number: int = 0, processes: int = 1) -> tuple[Evaluation, dict[str, Any]]:
    """What the options ask for, and what the report's header says of it.

    Args:
        config: conf/evaluate.yaml, composed.
        number: of this process.
        processes: that share the clips.
    """
    protocol = Protocol(config.reference, _sizes(config.resize), config.frames, config.size)
    name = "+".join(config.data.sources)
    films, listed = instantiate(config.data).test_films()
    device = pick_device(config.device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", number % torch.cuda.device_count())
    if processes > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    store = Store(
        Path(config.output), {"set": name, **asdict(protocol), "resize": _sizes(config.resize) and [*config.resize]}
    )
    entrants = {**methods(config, protocol, device), **_given(config, protocol, len(films) == 1)}
    if not entrants:
        raise UserError("nothing to score: give method=NAME, or predictions=FOLDER; see --help")
    judges = find_judges(config.lpips, config.fid, config.weights, config.download, device)
    header = {
        "set": name,
        "clips": f"{len(films)} of {listed}",
        **protocol.describe(),
        "command": shlex.join(["python", "-m", "flowchroma.evaluate", *sys.argv[1:]]),
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device.type}, {processes} processes",
        "versions": {"flowchroma": __version__, "torch": str(torch.__version__), "python": platform.python_version()},
    }
    return Evaluation(films, entrants, protocol, judges, store, device), header


def methods(config: DictConfig, protocol: Protocol, device: torch.device) -> dict[str, Entrant]:
    """The methods and runs that the options name, ready to colour."""
    named = config.get("method") or {}  # Hydra leaves nothing of an empty list
    made = {name: instantiate(chosen) for name, chosen in named.items()}
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
        painter = colorizer if isinstance(colorizer, Painter) else Painter(colorizer, protocol.size)
        entrants[name] = Entrant(lambda film, painter=painter: painter, about)  # type: ignore[misc]
    return entrants


def _given(config: DictConfig, protocol: Protocol, alone: bool) -> dict[str, Entrant]:
    """Somebody else's frames."""
    if not config.predictions:
        return {}
    folder = Path(config.predictions).expanduser()
    return {
        folder.resolve().name: Entrant(
            lambda film: Predictions(folder, film, protocol, alone), {"predictions": str(config.predictions)}
        )
    }


def _with_runs(arguments: list[str]) -> list[str]:
    """Tell the directories of runs among the methods from their names; predictions stand alone unless a method is named."""
    names = {path.stem for path in Path(CONF, "method").glob("*.yaml")}
    told: list[str] = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key != "method":
            told.append(argument)
            continue
        chosen = parts_of(value)
        runs = [part for part in chosen if part not in names and Path(part).expanduser().is_dir()]
        told.append(f"method=[{','.join(part for part in chosen if part not in runs)}]")
        told += [f"+runs.{_short(run, runs)}={run}" for run in runs]
    if any(a.startswith("predictions=") for a in told) and not any(a.startswith("method=") for a in told):
        told.append("method=[]")
    return told


def _short(run: str, runs: list[str]) -> str:
    """A run's name in the table: its directory's, with those above it as far as it takes to tell it from the others."""
    own = Path(run).resolve().parts[1:]
    others = [Path(other).resolve().parts[1:] for other in runs if other != run]
    length = next((n for n in range(1, len(own)) if all(own[-n:] != other[-n:] for other in others)), len(own))
    return re.sub(r"[^A-Za-z0-9_-]", "_", "_".join(own[-length:]))


def _help(plain: dict[str, Any], number: int, processes: int) -> None:
    """Another process of the same evaluation."""
    quiet()
    evaluation, _ = prepare(OmegaConf.create(plain), number, processes)
    evaluation.run(wait=False)


def _processes(config: DictConfig) -> int:
    if config.processes == "auto":
        return max(1, torch.cuda.device_count()) if pick_device(config.device).type == "cuda" else 1
    if not isinstance(config.processes, int) or config.processes < 1:
        raise UserError(f"processes must be auto or a number from 1 on, not {config.processes}", code=2)
    return config.processes


def _sizes(resize: Any) -> tuple[int, int] | None:
    return None if resize is None else tuple(resize)


def _fingerprint(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _write(evaluation: Evaluation, header: dict[str, Any], problems: list[str], output: Path) -> None:
    report = collect(evaluation, header, problems)
    if report.methods:
        write_json(report, output / "report.json")
        write_csv(report, output / "report.csv")
        write_html(report, output / "report.html")
        print_table(report)
        Console().print(f"Read {output / 'report.html'}", soft_wrap=True, highlight=False)
    for line in report.protocol["problems"]:
        print(f"flowchroma: {line}", file=sys.stderr)
    if problems:
        raise UserError(f"{len(problems)} of the scores asked for could not be had, see above")


@contextmanager
def _bar(clips: int) -> Iterator[Any]:
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("scoring", total=clips)

        def show(clip: str, frames: int) -> None:
            done = f"{clip}, frame {frames}" if frames else clip
            progress.update(task, advance=0 if frames else 1, description=done)

        yield show


if __name__ == "__main__":
    main()
