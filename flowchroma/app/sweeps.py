"""What a sweep leaves: one table of its runs, the best first."""

import atexit
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from flowchroma.runs import find_runs, print_table, write_table


class SweepTable(Callback):
    """Ends a sweep in one table of its runs: results.csv in its folder, and the terminal.

    A run that failed is in it, with what it died of, and makes the sweep's exit code 1. A sweep that is cut short, by
    an interrupt or a job that was killed, has its table all the same.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """See to it that there is a table, however the sweep ends."""
        atexit.register(self._write, Path(config.hydra.sweep.dir))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table, and leave with 1 if a run failed."""
        atexit.unregister(self._write)
        failed = self._write(Path(config.hydra.sweep.dir))
        if failed:
            print(f"flowchroma: {failed} of the sweep's runs failed, see the table", file=sys.stderr)
            sys.exit(1)

    def _write(self, folder: Path) -> int:
        """Write and print the table; how many runs failed."""
        found = find_runs([folder]) if folder.is_dir() else None
        if found is None or not found.runs:
            return 0
        write_table(found.runs, folder / "results.csv")
        print_table(found.runs)
        return sum(run.state == "failed" for run in found.runs)
