"""A run, read from its directory."""

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from flowchroma.runs.wandb_file import read_wandb

DEFAULT_METRIC = "val/psnr"
_LOWER = ("epe", "ause", "error", "loss", "lpips", "fid", "train/")  # in a metric's name: less is better
_UNITS = {"psnr": "dB", "epe": "px"}
_NOT_DRAWN = ("step", "epoch", "trainer/global_step")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

State = Literal["finished", "unfinished", "failed", "empty"]
Curve = tuple[list[int], list[float]]  # steps, values
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """One training run.

    It is "finished" with results, "unfinished" without (it may be running, or was killed), "failed" with an error, and
    "empty" where it wrote nothing into its directory.
    """

    path: Path
    state: State
    detail: str = ""  # of the state, one line
    config: Mapping[str, Any] = field(default_factory=dict)  # as composed, flat: `optimizer.lr` -> 0.001
    record: Mapping[str, Any] = field(default_factory=dict)  # what the run wrote about itself: overrides, choices, git
    curves: Mapping[str, Curve] = field(default_factory=dict)  # metric -> its steps and values, as logged
    results: Mapping[str, float] = field(default_factory=dict)  # metric -> its value with the best weights
    panels: Mapping[int, Path] = field(default_factory=dict)  # step -> picture of a validation clip
    above: int = 0  # how many parent folders are part of its title, to tell it from other runs

    @cached_property
    def name(self) -> str:
        """What it calls itself, or its directory's name."""
        return str(self.record.get("name") or self.path.resolve().name)

    @property
    def plain_name(self) -> str:
        """The same without its seed."""
        return self.name.rsplit("-seed", 1)[0]

    @property
    def title(self) -> str:
        """Its directory's name, with as many of those above as it takes."""
        return "/".join(self.path.resolve().parts[-1 - self.above :])

    @property
    def last_step(self) -> int | None:
        """The last one that was logged."""
        return max((steps[-1] for steps, _ in self.curves.values() if steps), default=None)

    def best_value(self, metric: str = DEFAULT_METRIC) -> float | None:
        """The best weights' figure; of a run without results the best so far."""
        if metric in self.results:
            return self.results[metric]
        values = self.curves.get(metric, ((), ()))[1]
        return (min if is_lower_better(metric) else max)(values) if values else None


def is_lower_better(metric: str) -> bool:
    """Whether less of it is better."""
    return any(word in metric for word in _LOWER)


def unit_of(metric: str) -> str:
    """What it is measured in; nothing for a plain number."""
    return next((unit for word, unit in _UNITS.items() if word in metric), "")


def is_run(path: Path) -> bool:
    """Whether a directory is one of a run, at whatever stage it stopped."""
    return any((path / name).exists() for name in ("config.yaml", "metrics.csv", "error.txt", ".hydra/config.yaml"))


def read_run(path: Path, upgrade: Upgrade = dict) -> Run:
    """Read what there is: a run that is being written, or was cut off within a line, is read as far as it got.

    `upgrade` gives a config that an earlier release wrote in today's form.
    """
    composed = _yaml(path / "config.yaml")
    record = {**(composed.pop("record", None) or {}), "name": composed.pop("name", None)}
    if not composed:  # it died before it wrote one: Hydra's has interpolations in it
        composed = _yaml(path / ".hydra" / "config.yaml")
        record["name"] = None
        composed.pop("name", None)
    config = {k: v for k, v in flattened(upgrade(composed)).items() if not (isinstance(v, str) and "${" in v)}
    overrides = record.get("overrides") or _yaml(path / ".hydra" / "overrides.yaml")
    record["overrides"] = overrides if isinstance(overrides, list) else []
    curves = _curves(path / "metrics.csv") or read_wandb(path / "wandb")
    results = _results(path / "results.csv")
    panels = {int(p.stem): p for p in sorted((path / "panels").glob("*.png")) if p.stem.isdigit()}
    run = Run(path, "empty", "", config, record, curves, results, panels)
    state, detail = _state(run)
    return replace(run, state=state, detail=detail)


def flattened(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A nested mapping by dotted keys; a list is a value."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            found |= flattened(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found


def _state(run: Run) -> tuple[State, str]:
    if run.results:  # whatever was tried in its directory since
        return "finished", ""
    kept = run.path / "error.txt"
    if kept.is_file():
        return "failed", (kept.read_text(errors="replace").strip().splitlines() or ["no word of why"])[0]
    if run.last_step is not None:
        target = run.config.get("trainer.max_steps")
        return "unfinished", f"at step {run.last_step}" + (f" of {target}" if target else "")
    return ("unfinished", "no step logged yet") if (run.path / "config.yaml").is_file() else ("empty", "never started")


def _yaml(path: Path) -> Any:
    try:
        content = yaml.load(path.read_text(), Loader=_LOADER) if path.is_file() else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):  # cut off, or no text at all
        content = None
    return content if isinstance(content, dict | list) else {}


def _curves(path: Path) -> dict[str, Curve]:
    """Metric -> steps and values; of two values at one step the last counts, what is not finite is left out."""
    points: dict[str, dict[int, float]] = {}
    if path.is_file():
        with path.open(newline="", errors="replace") as file:
            for row in csv.DictReader(line.replace("\0", "") for line in file):
                step = _number(row.get("step"))
                for name, text in row.items():
                    value = _number(text)
                    if step is not None and value is not None and name not in _NOT_DRAWN and isinstance(name, str):
                        points.setdefault(name, {})[int(step)] = value
    return {name: curve_of(found) for name, found in points.items()}


def curve_of(points: Mapping[int, float]) -> Curve:
    """Steps in order, and their values."""
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def _results(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    with path.open(newline="", errors="replace") as file:
        row = next(csv.DictReader(file), {})
    numbers = {name: _number(text) for name, text in row.items() if name and name.startswith("val/")}
    return {name: value for name, value in numbers.items() if value is not None}


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
