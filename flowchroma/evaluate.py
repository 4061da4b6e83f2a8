"""Score methods on whole clips: python -m flowchroma.evaluate method=[dis,fusion] data=SET data.root=DIR output=DIR."""

import multiprocessing
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
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
from flowchroma.app.entrants import given, methods, with_runs
from flowchroma.app.options import command
from flowchroma.app.settings import configure_logging, pick_device
from flowchroma.errors import UserError
from flowchroma.evaluation import Evaluation, Protocol, Store, collect, find_judges
from flowchroma.evaluation.report import print_table, write_csv, write_html, write_json

_TEXTS = ("data.root", "output", "checkpoint", "predictions", "weights", "runs")


def main() -> None:
    """Run the command."""
    sys.argv[1:] = with_runs(sys.argv[1:])
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
    with _writing(config.output), _bar(len(evaluation.films)) as progress:
        problems = evaluation.run(wait=not others, progress=progress)
    for process in others:
        process.join()
        if process.exitcode:
            print(
                f"flowchroma: a process ended with exit code {process.exitcode}: going on without it", file=sys.stderr
            )
    with _writing(config.output):
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
        Path(config.output), {"set": name, **asdict(protocol), "resize": protocol.resize and [*protocol.resize]}
    )
    entrants = {**methods(config, protocol, device), **given(config, protocol, len(films) == 1)}
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
        "versions": {
            "flowchroma": __version__,
            "torch": str(torch.__version__),
            "opencv": _opencv(),
            "python": platform.python_version(),
        },
    }
    return Evaluation(films, entrants, protocol, judges, store, device), header


def _help(plain: dict[str, Any], number: int, processes: int) -> None:
    """Another process of the same evaluation."""
    configure_logging()
    evaluation, _ = prepare(OmegaConf.create(plain), number, processes)
    evaluation.run(wait=False)


def _processes(config: DictConfig) -> int:
    if config.processes == "auto":
        return max(1, torch.cuda.device_count()) if pick_device(config.device).type == "cuda" else 1
    if not isinstance(config.processes, int) or config.processes < 1:
        raise UserError(f"processes must be auto or a number from 1 on, not {config.processes}", code=2)
    return config.processes


def _opencv() -> str:
    import cv2  # the flow that judges warp error is its

    return str(cv2.__version__)


def _sizes(resize: Any) -> tuple[int, int] | None:
    if resize is None:
        return None
    return tuple(resize) if isinstance(resize, Sequence) and not isinstance(resize, str) else (resize,)


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
def _writing(output: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # whatever is read tells its own
        raise UserError(f"cannot write to {output}: {error.strerror or error}; run it again to go on") from error


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
