"""The curves of a run in one CSV file, which a run that goes on continues."""

import csv
import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically

_log = logging.getLogger(__name__)


class MetricsFile(Logger):
    """Writes what is logged as rows of a CSV file, with a column `step`.

    A new run replaces the file. In a resumed run `rewind` keeps the rows before its first step:
    those after it are written again. Unlike Lightning's own, the file is never half there: a new column is added in a
    copy, which then takes its place.

    Args:
        path: the file.
        flush_every: rows kept in memory at most.
    """

    def __init__(self, path: str, flush_every: int = 100) -> None:
        super().__init__()
        self.path, self.flush_every = Path(path), flush_every
        self._columns: list[str] = []
        self._rows: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        """None is needed: a run has one."""
        return ""

    @property
    def version(self) -> str:
        """None is needed: a run has one."""
        return ""

    @property
    def save_dir(self) -> str:
        """The file's folder."""
        return str(self.path.parent)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: the run's directory has its config."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a row."""
        self._rows.append({**{name: float(value) for name, value in metrics.items()}, "step": step})
        if "epoch" in metrics:
            self._rows[-1]["epoch"] = int(metrics["epoch"])
        if len(self._rows) >= self.flush_every:
            self.save()

    @rank_zero_only
    def rewind(self, step: int) -> None:
        """Keep the rows of the steps before `step` alone; rows that were cut off go too."""
        self._rows = []
        if self.path.is_file():
            text = self.path.read_text(encoding="utf-8")
            whole = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
            self._columns = list(whole.fieldnames or ())
            rows = [row for row in whole if None not in row.values() and (row.get("step") or "").isdigit()]
            self._replace([row for row in rows if int(row["step"]) < step])

    @rank_zero_only
    def save(self) -> None:
        """Write the rows in memory; a `UserError` where that fails, and the file stays as it was."""
        if not self._rows:
            return
        new = sorted({name for row in self._rows for name in row} - set(self._columns))
        if new:
            kept: list[dict[str, Any]] = []
            if self._columns:
                with self.path.open(newline="", encoding="utf-8") as file:
                    kept = list(csv.DictReader(file))
            self._columns = sorted([*self._columns, *new])
            self._replace([*kept, *self._rows])
        else:
            self._append()
        self._rows = []

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the rest. Where the run has failed already, a failure here is only logged."""
        try:
            self.save()
        except UserError as error:
            if status == "success":
                raise
            _log.warning("%s", error)

    def _append(self) -> None:
        size = self.path.stat().st_size
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns).writerows(self._rows)
        except OSError as error:
            os.truncate(self.path, size)
            raise self._refusal(error) from error

    def _replace(self, rows: Sequence[Mapping[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        try:
            write_atomically(self.path, text.getvalue())
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> UserError:
        return UserError(f"{self.path} cannot be written: {error.strerror}; make room, then go on with resume=last")
