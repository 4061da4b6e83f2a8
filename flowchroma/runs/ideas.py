"""What differs between runs, which of them are one idea with several seeds, and how far seeds alone lead apart."""

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowchroma.runs.option_effects import changes_result
from flowchroma.runs.training_run import DEFAULT_METRIC, Run, is_lower_better

_ABSENT = object()
_CONFIDENCE_LEVEL = 0.95


@dataclass(frozen=True)
class Idea:
    """Runs that differ by their seed alone."""

    label: str  # the options that distinguish it: `lr=0.001 model=unet`
    runs: tuple[Run, ...]
    values: tuple[float, ...]  # of the metric, in the finished runs; a seed that was run again counts by its last run
    repeated: int = 0  # finished runs that do not count, since their seed was run again

    @property
    def mean(self) -> float | None:
        """Of the finished runs."""
        return sum(self.values) / len(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation between seeds, with one degree of freedom less than runs; None below two."""
        if len(self.values) < 2 or self.mean is None:
            return None
        return math.sqrt(sum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1))


@dataclass(frozen=True)
class SeedNoise:
    """How far apart runs of one idea are, over all ideas with several seeds."""

    deviation: float | None  # pooled standard deviation between seeds; None where no idea has two finished runs
    freedom: int  # degrees of freedom of the deviation
    ideas: int  # how many are compared

    def margin(self, one: int, other: int) -> float | None:
        """What the means of ideas with `one` and `other` runs must differ by for 95 % confidence.

        Tukey and Kramer's test: the studentised range takes into account that the winner was picked among all of them.
        With two ideas it is the t-test with pooled variance.
        """
        if self.deviation is None or self.ideas < 2:
            return None
        from scipy.stats import studentized_range

        quantile = float(studentized_range.ppf(_CONFIDENCE_LEVEL, self.ideas, self.freedom))
        return quantile / math.sqrt(2) * self.deviation * math.sqrt(1 / one + 1 / other)


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The options that differ between runs, and each run's value; seeds first, None where a run has no such option.

    Where another file of a group or another class was chosen, that stands for whatever comes with it. Of several
    options that have the same values, as a size and what is set to it, the shortest is named.
    """
    configs = [run.config for run in runs]
    keys = [key for key in dict.fromkeys(key for config in configs for key in config) if changes_result(key)]
    table = {key: [config.get(key, _ABSENT) for config in configs] for key in keys}
    columns = {key: values for key, values in table.items() if _differ(values)}
    columns = {key: values for key, values in columns.items() if key == "seed" or not key.endswith(".seed")}
    chosen = _chosen(runs, columns)
    kept: dict[str, list[Any]] = {**chosen}
    for key, values in columns.items():
        group = next((group for group in chosen if key.startswith(f"{group}.")), None)
        if group is None or not _comes_with(chosen[group], values):
            kept[key] = values
    return _without_repeats({key: [None if v is _ABSENT else v for v in values] for key, values in kept.items()})


def _chosen(runs: Sequence[Run], columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Where another file of a config group was chosen, or another class, what each run has: by the group's key."""
    choices = [run.record.get("choices") or {} for run in runs]
    groups = [group for group in dict.fromkeys(group for each in choices for group in each) if changes_result(group)]
    found = {}
    for group in groups:
        names = [each.get(group) for each in choices]
        if None not in names and _differ(names) and any(key.startswith(f"{group}.") for key in columns):
            found[group] = names
    for key in [key for key in columns if key.endswith("._target_")]:
        group = key.removesuffix("._target_")
        if not any(f"{group}.".startswith(f"{other}.") for other in found):
            targets = zip(columns[key], choices, strict=True)
            found[group] = [_ABSENT if t is _ABSENT else c.get(group) or t.rsplit(".", 1)[-1] for t, c in targets]
    return found


def _differ(values: Sequence[Any]) -> bool:
    return len({_hashable(value) for value in values}) > 1


def ideas_of(runs: Sequence[Run], metric: str = DEFAULT_METRIC) -> list[Idea]:
    """Group runs that differ by their seed alone; the best mean first, ideas without a finished run last."""
    table = differences(runs)
    table.pop("seed", None)
    groups: dict[tuple[Hashable, ...], list[Run]] = {}
    labels = {}
    for i, run in enumerate(runs):
        values = {key: column[i] for key, column in table.items()}
        # A run that left no config is no other run's twin.
        identity = (*(_hashable(value) for value in values.values()), None if run.config else run.path)
        groups.setdefault(identity, []).append(run)
        names = short_names(values) if run.config else {}
        labels[identity] = " ".join(f"{name}={format_value(values[key])}" for key, name in names.items())
    ideas = []
    for identity, members in groups.items():
        finished = [run for run in members if run.state == "finished" and run.best_value(metric) is not None]
        counted = _last_of_each_seed(finished)
        figures = tuple(float(run.best_value(metric) or 0.0) for run in counted)
        label = labels[identity] or members[0].plain_name
        ideas.append(Idea(label, tuple(members), figures, len(finished) - len(counted)))
    sign = 1 if is_lower_better(metric) else -1
    return sorted(ideas, key=lambda idea: math.inf if idea.mean is None else sign * idea.mean)


def _last_of_each_seed(runs: Sequence[Run]) -> list[Run]:
    """One run a seed, that which ended last: the same run twice says nothing of the noise between seeds."""
    last: dict[Hashable, Run] = {}
    for run in sorted(runs, key=lambda run: (run.path / "results.csv").stat().st_mtime_ns):
        last[_hashable(run.config["seed"]) if "seed" in run.config else run.path] = run
    return [run for run in runs if run in last.values()]


def seed_noise_of(ideas: Sequence[Idea]) -> SeedNoise:
    """The spread between seeds, pooled over the ideas."""
    freedom = sum(max(len(idea.values) - 1, 0) for idea in ideas)
    squares = sum(idea.spread**2 * (len(idea.values) - 1) for idea in ideas if idea.spread is not None)
    compared = sum(idea.mean is not None for idea in ideas)
    return SeedNoise(math.sqrt(squares / freedom) if freedom else None, freedom, compared)


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """The last part of each key, or all of it where another ends alike."""
    last = {key: key.rsplit(".", 1)[-1] for key in keys}
    return {key: key if [*last.values()].count(name) > 1 else name for key, name in last.items()}


def format_value(value: Any) -> str:
    """A config's value as people read it."""
    if value is None:
        return "—"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _without_repeats(table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    named: dict[Hashable, str] = {}
    # What a schedule has it has from elsewhere.
    for key in sorted(table, key=lambda key: (key != "seed", key.startswith("scheduler."), key.count("."), len(key))):
        named.setdefault(tuple(_hashable(value) for value in table[key]), key)
    names = set(named.values())
    return {key: table[key] for key in sorted(table, key=lambda key: key != "seed") if key in names}


def _comes_with(targets: Sequence[Any], values: Sequence[Any]) -> bool:
    """Whether runs of one choice all have the same value."""
    pairs = {(_hashable(target), _hashable(value)) for target, value in zip(targets, values, strict=True)}
    return len(pairs) == len({target for target, _ in pairs})


def _hashable(value: Any) -> Hashable:
    return "\0absent" if value is _ABSENT else json.dumps(value, sort_keys=True, default=str)
