"""Scoring what `python -m flowchroma.evaluate` was asked to, in one process or several, and writing the report."""

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from flowchroma.app.evaluate.evaluating import count_processes, prepare_evaluation
from flowchroma.app.progress import clips_bar
from flowchroma.app.settings import configure_logging
from flowchroma.errors import UserError
from flowchroma.evaluation import Evaluation, collect
from flowchroma.evaluation.report import print_table, write_csv, write_html, write_json


def run(config: DictConfig) -> None:
    """Score what has no score yet, in one process or several, and write the report."""
    if config.output in (None, ""):
        raise UserError("no output: give output=DIR, which gets the report, or --help")
    processes = count_processes(config)
    others = []
    if processes > 1:
        plain = OmegaConf.to_container(config, resolve=True)
        start = multiprocessing.get_context("spawn").Process
        others = [start(target=_help, args=(plain, number, processes)) for number in range(1, processes)]
    evaluation, header = prepare_evaluation(config, 0, processes)
    for process in others:
        process.start()
    with _writing(config.output), clips_bar(len(evaluation.films)) as progress:
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


def _help(plain: dict[str, Any], number: int, processes: int) -> None:
    """Another process of the same evaluation."""
    configure_logging()
    evaluation, _ = prepare_evaluation(OmegaConf.create(plain), number, processes)
    evaluation.run(wait=False)


def _write(evaluation: Evaluation, header: dict[str, Any], problems: list[str], output: Path) -> None:
    report = collect(evaluation, header, problems)
    if report.methods:
        write_json(report, output / "report.json")
        write_csv(report, output / "report.csv")
        write_html(report, output / "report.html")
        print_table(report)
        Console().print(f"Read {output / 'report.html'}", soft_wrap=True, highlight=False, markup=False)
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
