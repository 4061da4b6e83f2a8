"""Starting a run's other processes, also from within a sweep."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from omegaconf import DictConfig, read_write
from torch import distributed

from flowchroma.app.options import escape
from flowchroma.errors import UserError


@contextmanager
def launching_job(config: DictConfig) -> Iterator[None]:
    """Let Lightning start a run's other processes, also within a sweep, of which nothing is left to its next run.

    Lightning repeats this process's command line, which in a sweep is that of the sweep, with hydra.run.dir in
    quotation marks, whatever is in it.
    """
    hydra: Any = HydraConfig.get()
    with read_write(hydra):
        hydra.run.dir = escape(str(config.run_dir), mark='"')
    if hydra.mode != RunMode.MULTIRUN:
        yield
        return
    arguments, environment = sys.argv, dict(os.environ)
    sys.argv = [arguments[0], *hydra.overrides.task]
    try:
        yield
    finally:
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        sys.argv = arguments
        os.environ.clear()
        os.environ.update(environment)


def check_launchable(trainer: Trainer) -> None:
    """Refuse several processes within a launcher, where Lightning would start another program than this one."""
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if launcher.cluster_environment.creates_processes_externally or spec is None or spec.name == "flowchroma.run":
        return
    raise UserError(
        "a run of several processes cannot start them from within this hydra/launcher: leave the launcher out, so that"
        " runs follow each other, or use submitit_slurm with trainer=slurm, where SLURM starts them"
    )
