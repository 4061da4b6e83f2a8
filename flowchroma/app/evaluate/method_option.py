"""What `method=` of an evaluation may name: files of conf/method, and directories of runs."""

import re
from pathlib import Path

from flowchroma.app.options import exists, parts_of
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
        chosen = list(dict.fromkeys(parts_of(value)))
        runs = [part for part in chosen if part not in names and exists(part)]
        understood.append(f"method=[{','.join(part for part in chosen if part not in runs)}]")
        understood += [f"+runs.{name}={Path(run).expanduser()}" for name, run in _named(runs).items()]
    if any(a.startswith("predictions=") for a in understood) and not any(a.startswith("method=") for a in understood):
        understood.append("method=[]")
    return understood


def _methods() -> set[str]:
    return {path.stem for path in Path(CONF, "method").glob("*.yaml")}


def reserved_names() -> set[str]:
    """Names with a meaning of their own in the table and in the folder of scores."""
    from flowchroma.evaluation import LOCKS, TRUTH  # takes seconds, which no wrong option has to wait for

    return {*_methods(), TRUTH, LOCKS, ""}


def _named(runs: list[str]) -> dict[str, str]:
    """Runs by their names in the table: each its directory's, with as many of those above it as make it unique."""

    def name(path: str, parts: int) -> str:
        return re.sub(r"[^A-Za-z0-9_-]", "_", "_".join(Path(path).resolve().parts[1:][-parts:]))

    named: dict[str, str] = {}
    for run in runs:
        whole = len(Path(run).resolve().parts)
        taken = {*reserved_names(), *named}
        others = [other for other in runs if other != run]
        names = [name(run, n) for n in range(1, whole) if name(run, n) not in {name(other, n) for other in others}]
        names += (f"{name(run, 1)}_{count}" for count in range(1, len(runs) + 1))  # they differ by odd characters alone
        named[next(one for one in names if one not in taken)] = run
    return named
