"""What `method=` of an evaluation may name: files of conf/method, and directories of runs."""

import re
from pathlib import Path

from flowchroma.app.options import parts_of
from flowchroma.app.settings import CONF


def with_runs(arguments: list[str]) -> list[str]:
    """Give runs among the methods options of their own: `method=[dis,RUN]` is `method=[dis]` and `+runs.NAME=RUN`.

    Predictions stand alone unless a method is named.
    """
    names = _methods()
    understood: list[str] = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key != "method":
            understood.append(argument)
            continue
        chosen = parts_of(value)
        runs = [part for part in chosen if part not in names and Path(part).expanduser().is_dir()]
        understood.append(f"method=[{','.join(part for part in chosen if part not in runs)}]")
        understood += [f"+runs.{_unique_name(run, runs)}={run}" for run in runs]
    if any(a.startswith("predictions=") for a in understood) and not any(a.startswith("method=") for a in understood):
        understood.append("method=[]")
    return understood


def _methods() -> set[str]:
    return {path.stem for path in Path(CONF, "method").glob("*.yaml")}


def reserved_names() -> set[str]:
    """Names with a meaning of their own in the table and in the folder of scores."""
    from flowchroma.evaluation import LOCKS, TRUTH  # takes seconds, which no wrong option has to wait for

    return {*_methods(), TRUTH, LOCKS, ""}


def _unique_name(run: str, runs: list[str]) -> str:
    """A run's name in the table: its directory's, with as many of those above it as make it unique."""

    def named(path: str, parts: int) -> str:
        return re.sub(r"[^A-Za-z0-9_-]", "_", "_".join(Path(path).resolve().parts[1:][-parts:]))

    others = [other for other in runs if other != run]
    whole = len(Path(run).resolve().parts)
    enough = (
        n for n in range(1, whole) if named(run, n) not in {*reserved_names(), *(named(other, n) for other in others)}
    )
    return named(run, next(enough, whole))
