"""What the entry points share: where the configuration is, how it becomes objects, and how errors are said."""

import csv
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from flowchroma.errors import UserError
from flowchroma.training import MONITOR

_PACKAGE = Path(__file__).parent
# Beside the package in a checkout, inside it once installed.
HOME = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent
CONF = str(HOME / "conf")


class Experiments(SearchPathPlugin):
    """Lets `+experiments=NAME` find the folder beside conf/."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Search the folder that holds conf/ and experiments/, last."""
        search_path.append("flowchroma", f"file://{HOME}")


Plugins.instance().register(Experiments)


class SweepTable(Callback):
    """Ends a sweep in one table of its runs, the best first."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Collect each run's results.csv; write the table beside them and print it."""
        folder = Path(config.hydra.sweep.dir)
        rows = []
        for path in sorted(folder.glob("*/results.csv")):
            with path.open(newline="") as file:
                rows += [{"run": path.parent.name, **row} for row in csv.DictReader(file)]
        if not rows:
            return
        given = [row.get("overrides", "").split() for row in rows]
        common = set(given[0]).intersection(*given)
        for row, overrides in zip(rows, given, strict=True):
            row["overrides"] = " ".join(o for o in overrides if o not in common)
        rows.sort(key=lambda row: -float(row.get(MONITOR) or "-inf"))
        names = list(dict.fromkeys(name for row in rows for name in row))
        with (folder / "results.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        table = Table(*names, title=f"{len(rows)} runs by {MONITOR}")
        for row in rows:
            table.add_row(*(row.get(name, "") for name in names))
        Console().print(table)


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" is the fastest there is.

    Raises:
        UserError: This machine, or its PyTorch, has none of that name.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, usable in there.items() if usable))
    if name.split(":")[0] not in there:
        raise UserError(f"unknown device {name}: give auto, cpu, cuda or mps", code=2)
    if not there[name.split(":")[0]]:
        raise UserError(f"device={name} is not there: give device=auto or device=cpu")
    return torch.device(name)


def quiet() -> None:
    """One line a message, and none for what the user can do nothing about."""
    logging.basicConfig(level=logging.WARNING, format="flowchroma: %(message)s")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for said in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*LeafSpec.*",
        ".*Checkpoint directory .* exists and is not empty.*",  # of a run that goes on
        ".*in eval mode at the start of training.*",  # frozen on purpose
        ".*your dataloader is not resumable.*",  # its sampler is
        ".*callbacks used to create the checkpoint.*",  # what matters of them is said by their settings
        ".*`broadcast_buffers` is deprecated.*",  # older releases of PyTorch know no other name
        "Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", message=said)
    warnings.showwarning = lambda message, *_, **__: print(f"flowchroma: {message}", file=sys.stderr)


def say_errors(task: Callable[..., None]) -> Callable[..., None]:
    """Run an entry point's task; a UserError becomes one line and an exit code instead of a traceback."""

    def run(config: DictConfig) -> None:
        quiet()
        try:
            task(config)
        except Exception as error:
            advice = advice_in(error)
            if advice is None:
                raise
            if str(advice):  # one process of several speaks for all
                print(f"flowchroma: {advice}", file=sys.stderr)
            sys.exit(advice.code)

    return run


def advice_in(error: BaseException | None) -> UserError | None:
    """The UserError behind an exception: Hydra wraps what a constructor raises."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    return error
