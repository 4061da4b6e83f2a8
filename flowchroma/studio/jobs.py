"""The one long job of a project, planning or colouring: a command in a process of its own, which outlasts no studio."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flowchroma.app.progress import FILE as PROGRESS
from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically
from flowchroma.studio.runner import CONTINUE, PAUSE, can_pause

Kind = Literal["plan", "colorize"]
State = Literal["none", "running", "paused", "done", "failed", "cancelled"]
NAMES: dict[str, str] = {"plan": "looking for shots and stills", "colorize": "colouring"}
_SAYS = "flowchroma: "  # what a command's own lines begin with
_JOB, _LOG, _PROGRESS, _LOCK = "job.json", "job.log", "progress.json", "job.lock"
_WAIT = 20.0  # seconds that a command has to end


@dataclass(frozen=True)
class Progress:
    """How far a command says that it is."""

    what: str
    done: int
    total: int
    seconds: float  # since it began with this

    @property
    def rate(self) -> float:
        """Frames a second; 0 where none is done."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds, as it goes now."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(frozen=True)
class Status:
    """What there is to say of the last job."""

    kind: Kind | None = None
    state: State = "none"
    progress: Progress | None = None
    line: str = ""  # of one that has ended: how it went, or what was wrong
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def active(self) -> bool:
        """Whether it is to go on."""
        return self.state in ("running", "paused")


class Jobs:
    """Starts, holds and ends the job of a project, and knows it again when the studio is started anew.

    Args:
        folder: Of the studio, within the project's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._process: subprocess.Popen | None = None
        self._closing = False
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def status(self) -> Status:
        """Of the last job."""
        held = self._held()
        if held["state"] == "none":
            return Status()
        lines = self._lines()
        progress = self._progress() if held["state"] in ("running", "paused") else None
        said = [line.removeprefix(_SAYS) for line in lines if line.startswith(_SAYS)]
        if held["state"] == "failed":
            line = said.pop() if said else f"it ended without a word: see {self._folder / _LOG}"
        else:
            line = next((line.rpartition(": ")[0] for line in lines if not line.startswith(_SAYS)), "")
        return Status(held["kind"], held["state"], progress, line, tuple(dict.fromkeys(said)))

    def start(self, kind: Kind, options: Sequence[str]) -> None:
        """Run `python -m flowchroma.KIND OPTIONS`.

        Raises:
            UserError: Another one runs.
        """
        with self._lock:
            held = self._held()
            if held["state"] in ("running", "paused"):
                how = "paused" if held["state"] == "paused" else "running"
                raise UserError(f"{NAMES[held['kind']]} is {how}: wait until it is done, or cancel it first")
            self._run(kind, list(options))

    def pause(self) -> None:
        """Hold the job where it is; a system that cannot do so ends it, and what is done is kept."""
        with self._lock:
            if self._held()["state"] != "running":
                return
            self._keep(state="paused")
            if can_pause():
                self._tell(PAUSE)
            else:
                self._end()

    def go_on_from_before(self) -> None:
        """Start the job again that a studio before this one had running when it ended, however that was."""
        with self._lock:
            held = self._held()
            if held["state"] == "running" and self._process is None:
                self._run(held["kind"], held["options"])

    def go_on(self) -> None:
        """Let a paused job go on, or start it again."""
        with self._lock:
            held = self._held()
            if held["state"] != "paused":
                return
            if self._process is None:
                self._run(held["kind"], held["options"])
            else:
                self._keep(state="running")
                self._tell(CONTINUE)

    def cancel(self) -> None:
        """End the job; what is done is kept."""
        with self._lock:
            if self._held()["state"] in ("running", "paused"):
                self._keep(state="cancelled")
                self._end()

    def close(self) -> None:
        """End the process, and keep that its job is to go on."""
        with self._lock:
            self._closing = True
            self._end()

    def _run(self, kind: Kind, options: list[str]) -> None:
        (self._folder / _PROGRESS).unlink(missing_ok=True)
        command = [sys.executable, "-m", f"flowchroma.{kind}", *options]
        line = [sys.executable, "-m", "flowchroma.studio.runner", str(self._folder / _LOCK), *command]
        environment = {**os.environ, PROGRESS: str(self._folder / _PROGRESS)}
        self._keep(kind=kind, options=options, state="running")
        with (self._folder / _LOG).open("w") as log:
            self._process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, text=True, start_new_session=True
            )
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def _watch(self, process: subprocess.Popen) -> None:
        code = process.wait()
        with self._lock:
            if process is not self._process:
                return
            self._process = None
            if not self._closing and self._held()["state"] == "running":
                self._keep(state="failed" if code else "done")

    def _tell(self, word: str) -> None:
        if self._process and self._process.stdin:
            with suppress(OSError):  # it has just ended
                self._process.stdin.write(f"{word}\n")
                self._process.stdin.flush()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process and process.stdin:
            with suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_WAIT)
            except subprocess.TimeoutExpired:
                process.kill()

    def _keep(self, **changes: Any) -> None:
        write_atomically(self._folder / _JOB, json.dumps({**self._held(), **changes}))

    def _held(self) -> dict[str, Any]:
        found = _read(self._folder / _JOB)
        known = found.get("kind") in NAMES and isinstance(found.get("options"), list) and "state" in found
        return found if known else {"kind": None, "options": [], "state": "none"}

    def _progress(self) -> Progress | None:
        try:
            return Progress(**_read(self._folder / _PROGRESS))
        except TypeError:
            return None

    def _lines(self) -> list[str]:
        try:
            text = (self._folder / _LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
