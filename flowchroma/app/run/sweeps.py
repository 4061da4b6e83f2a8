"""The table that a sweep ends in: its runs, the best first."""

import atexit
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from flowchroma.app.options import report_user_error
from flowchroma.app.run.schema import check_values


class SweepTable(Callback):
    """Ends a sweep in one table of its runs: results.csv in its folder, and the terminal.

    A run that failed is in it with its error, and makes the sweep's exit code 1. A sweep that is cut short, by
    an interrupt or a job that was killed, has its table all the same.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse what the sweeper cannot be given, and have the table written however the sweep ends."""
        with report_user_error():
            from flowchroma.app.run.signatures import check_arguments  # with PyTorch, which takes seconds

            sweeper: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
            check_values(sweeper, "hydra.sweeper")
            check_arguments(sweeper, "hydra.sweeper")
        atexit.register(write_results, Path(config.hydra.sweep.dir), config.optimized_metric)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table, and leave with 1 if a run failed."""
        atexit.unregister(write_results)
        failed = write_results(Path(config.hydra.sweep.dir), config.optimized_metric)
        if failed:
            print(f"flowchroma: {failed} of the sweep's runs failed, see the table", file=sys.stderr)
            sys.exit(1)


def write_results(folder: Path, metric: str) -> int:
    """Write and print the table of a sweep's runs, the best by `metric` first; how many runs failed."""
    if not any(folder.rglob("config.yaml")):  # no job began, and imports of that size fail while Python exits
        return 0
    from flowchroma.runs import find_runs, print_table, write_table  # takes seconds, and every run loads this module

    found = find_runs([folder]) if folder.is_dir() else None
    if found is None or not found.runs:
        return 0
    write_table(found.runs, folder / "results.csv", metric)
    print_table(found.runs, metric)
    return sum(run.state == "failed" for run in found.runs)
