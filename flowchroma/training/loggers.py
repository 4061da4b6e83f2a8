"""Where curves go beside CSV files."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment


class Wandb(WandbLogger):
    """Lightning's logger, whose summary has the best of each figure in place of the last.

    Every run is one of its own: in a sweep, several follow each other in one process.

    Args:
        summaries: metric, or the start of one and `*` -> "max" or "min".
        settings: see `WandbLogger`.
    """

    def __init__(self, summaries: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._summaries = dict(summaries or {})

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run, begun when it is first asked for."""
        begun = self._experiment is not None
        run = super().experiment
        if not begun:
            for metric, best in self._summaries.items():
                run.define_metric(metric, step_metric="trainer/global_step", summary=best)
        return run

    def close(self) -> None:
        """End the run, so that the next one in this process does not write into it."""
        if self._experiment is not None:
            self._experiment.finish()
