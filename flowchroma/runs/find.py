"""From what is typed to runs: directories, sweeps, folders of either, patterns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flowchroma.runs.training_run import Run, Upgrade, is_run, read_run

_DEEPEST = 4  # outputs/STAGE/MODEL/TIME


@dataclass(frozen=True)
class FoundRuns:
    """Runs in the order given, and a line for whatever was none."""

    runs: list[Run]
    refused: list[str]


def find_runs(places: Sequence[str | Path], upgrade: Upgrade = dict) -> FoundRuns:
    """Read every run at or below places or patterns, each once; `upgrade` as in `read_run`."""
    found: dict[Path, Run] = {}
    refused = []
    for place in places:
        paths = [Path(place).expanduser()]
        if not paths[0].exists():
            paths = sorted(_matching(paths[0]))
        runs = [run for path in paths for run in _below(path, _DEEPEST)]
        if not paths:
            refused.append(f"{place}: there is nothing of that name")
        elif not runs:
            refused.append(f"{place}: no run, and no folder of runs: a run has a config.yaml")
        found |= {run.resolve(): read_run(run, upgrade) for run in runs if run.resolve() not in found}
    return FoundRuns(_with_unique_titles(list(found.values())), refused)


def _with_unique_titles(runs: list[Run]) -> list[Run]:
    """Give runs of one title those of the folders above them as well, until they differ."""
    longest = max((len(run.path.resolve().parts) for run in runs), default=1)
    for _ in range(longest - 1):
        titles = [run.title for run in runs]
        if len({*titles}) == len(titles):
            break
        runs = [replace(run, above=run.above + (titles.count(run.title) > 1)) for run in runs]
    return runs


def _matching(pattern: Path) -> Iterator[Path]:
    folder = next(parent for parent in pattern.parents if parent.exists())  # whose name may have brackets
    return folder.glob(str(pattern.relative_to(folder)))


def _below(path: Path, deep: int) -> list[Path]:
    if not path.is_dir():
        return []
    if is_run(path):
        return [path]
    if deep == 0:
        return []
    folders = sorted((p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_in_order)
    return [run for folder in folders for run in _below(folder, deep - 1)]


def _in_order(path: Path) -> tuple[int, str]:
    """A sweep's runs are numbered: 10_fusion comes after 9_fusion."""
    number = path.name.split("_")[0]
    return (int(number) if number.isdigit() else -1), path.name
