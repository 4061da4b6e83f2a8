"""A run's name, made of the options that distinguish it, and the state of the code that it was made with."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from flowchroma.runs.option_effects import changes_result

LONGEST = 80
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+(e[-+]?[0-9]+)?", re.IGNORECASE)


def run_name(stage: str, model: str, seed: int, overrides: Iterable[str]) -> str:
    """A short name from the options that were typed, such as `fusion-unet-lr1e-4-seed1`.

    It is safe as a file's name, and at most 80 characters long.
    """
    typed = [override.lstrip("+~").partition("=") for override in overrides]
    naming = [part for part in typed if part[0] not in ("stage", "model", "seed") and changes_result(part[0])]
    parts = [_part(key, value) for key, _, value in naming]
    head, tail = "-".join([stage, model, *parts]), f"-seed{seed}"
    return f"{head[: LONGEST - len(tail)].rstrip('-')}{tail}"


def git_state(folder: Path) -> dict[str, str | bool] | None:
    """The commit of a checkout, and whether tracked files were changed since; None where it is none."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != folder.resolve():
            return None
        dirty = bool(git("status", "--porcelain", "--untracked-files=no"))
        return {"commit": git("rev-parse", "HEAD"), "dirty": dirty}
    except (OSError, subprocess.SubprocessError):
        return None


def _part(key: str, value: str) -> str:
    names = [name for name in re.split(r"[./@]", key) if name]
    value = value.strip("'\"[]").rstrip("/").rsplit("/", 1)[-1]
    if names[-1] == "experiments":
        return _safe(value)
    if number := _NUMBER.fullmatch(value):
        value = min(value, f"{float(value):.3g}", key=len)  # as typed, but for the digits that a sampler draws
    joint = "" if number and not names[-1][-1].isdigit() else "_"
    return _safe(f"{names[-1]}{joint}{value}")


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text).strip("_")
