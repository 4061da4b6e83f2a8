"""Weights & Biases, beside CSV files."""

import os
import secrets
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger


class Wandb(WandbLogger):
    """Lightning's logger, whose summary has the best of each figure in place of the last.

    Every run is one of its own: in a sweep, several follow each other in one process.

    Args:
        summaries: pattern of metrics' names -> "max" or "min"; the first that fits counts.
        id_file: keeps the run's id, so that a run that resumes goes on in the same one, also offline. WANDB_RUN_ID and
            WANDB_RESUME, where they are set, go before it.
        settings: see `WandbLogger`.
    """

    def __init__(self, summaries: Mapping[str, str] | None = None, id_file: str | None = None, **settings: Any) -> None:
        settings["resume"] = os.environ.get("WANDB_RESUME") or settings.get("resume", "allow")
        settings["id"] = os.environ.get("WANDB_RUN_ID") or settings.get("id") or _kept_id(id_file)
        super().__init__(**settings)
        self._summaries = dict(summaries or {})
        self._met: set[str] = set()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log figures; define its summary at the first of a name.

        By its full name: Lightning has defined `*`, and of two patterns that fit wandb takes either.
        """
        for name in [name for name in metrics if name not in self._met]:
            self._met.add(name)
            best = next((best for pattern, best in self._summaries.items() if fnmatchcase(name, pattern)), None)
            if best:
                self.experiment.define_metric(name, step_metric="trainer/global_step", summary=best)
        super().log_metrics(metrics, step)

    def close(self) -> None:
        """End the run, so that the next one in this process does not write into it."""
        if self._experiment is not None:
            self._experiment.finish()


@rank_zero_only
def _kept_id(file: str | None) -> str | None:
    """The id in a file, which gets a new one where it is missing."""
    if file is None:
        return None
    path = Path(file)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(4))
    return path.read_text().strip() or None


def log_config(loggers: Iterable[Logger], config: Mapping[str, Any]) -> None:
    """Give a run's recorded config to the loggers that keep one; beside CSV files it lies as config.yaml."""
    for logger in loggers:
        if not isinstance(logger, CSVLogger):
            logger.log_hyperparams(dict(config))


def close_loggers(loggers: Iterable[Logger]) -> None:
    """End what would go on writing the next run of a sweep into this one's."""
    for logger in loggers:
        if isinstance(logger, Wandb):
            logger.close()
