"""The page: which idea won and by how much, every run, its curves, its pictures."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flowchroma.files.atomic import write_atomically
from flowchroma.pages import render, series_style
from flowchroma.runs.ideas import Idea, SeedNoise, differences, format_value, ideas_of, seed_noise_of
from flowchroma.runs.panels import panel_strips
from flowchroma.runs.significance import comparison_summary, validation_mismatch
from flowchroma.runs.table import format_metric, metrics_of, rank, sorted_by_metric
from flowchroma.runs.training_run import DEFAULT_METRIC, Run, is_lower_better, unit_of

_FOLDER = Path(__file__).parent
_POINTS = 600  # of one curve: more than a screen has pixels for


def write_page(runs: Sequence[Run], path: Path, metric: str = DEFAULT_METRIC, refused: Sequence[str] = ()) -> None:
    """Write the page on all runs, sorted by `metric`; `refused` are lines about what was asked for and is no run."""
    ideas = ideas_of(runs, metric)
    ordered = sorted_by_metric(runs, metric)
    noise = seed_noise_of(ideas)
    styles = {id(run): series_style(i) for i, idea in enumerate(ideas) for run in idea.runs}
    unfinished = [f"{run.title} {_state(run)}" for run in ordered if run.state != "finished"]
    page = render(
        _FOLDER / "compare.html.j2",
        _FOLDER / "compare.js",
        charts=True,
        data={
            "ideas": [{"name": _named(idea, i), **series_style(i)} for i, idea in enumerate(ideas)],
            "metric": metric,
            "unit": unit_of(metric),
            "scores": [_scores(idea, noise, ideas[0], metric) for idea in ideas],
            "curves": _curves(ordered, ideas, metric),
        },
        essentials=_essentials(runs, ideas),
        headline=comparison_summary(ideas, noise, metric),
        warnings=[line for line in (validation_mismatch(runs), *refused, *unfinished) if line],
        metric=metric,
        noise=noise,
        columns=[*differences(ordered)],
        metrics=[(name, unit_of(name), is_lower_better(name)) for name in metrics_of(ordered, metric)],
        rows=_rows(ordered, styles, metric),
        scored=any(idea.values for idea in ideas),
        strips=panel_strips(ordered),
        ordered=[(run, styles[id(run)]) for run in ordered],
        abouts=[(run, styles[id(run)], _about(run)) for run in ordered],
    )
    write_atomically(path, page)


def _named(idea: Idea, number: int) -> str:
    return idea.label or idea.runs[0].plain_name or f"idea {number + 1}"


def _scores(idea: Idea, noise: SeedNoise, best: Idea, metric: str) -> dict[str, Any]:
    """An idea's runs, their mean, and what the mean of the best must exceed it by."""
    margin = noise.margin(len(best.values), len(idea.values)) if idea.values and best.values else None
    runs = [run.title for run in idea.runs if run.state == "finished" and run.best_value(metric) is not None]
    return {
        "runs": runs,
        "values": [*idea.values],
        "mean": idea.mean,
        "spread": idea.spread,
        "margin": None if idea is best or margin is None else -margin if is_lower_better(metric) else margin,
    }


def _curves(runs: Sequence[Run], ideas: Sequence[Idea], metric: str) -> dict[str, list[dict[str, Any]]]:
    """Metric -> one series a run."""
    number = {id(run): i for i, idea in enumerate(ideas) for run in idea.runs}
    names = {name for run in runs for name, (steps, _) in run.curves.items() if len(steps) > 1}
    order = sorted(names, key=lambda name: (name != metric, name != "train/loss", not name.startswith("val/"), name))
    drawn: dict[str, list[dict[str, Any]]] = {}
    for name in order:
        having = [(run.title, number[id(run)], run.curves[name]) for run in runs if name in run.curves]
        drawn[name] = [{"run": run, "idea": idea, **_thinned(*curve)} for run, idea, curve in having]
    return drawn


def _thinned(steps: list[int], values: list[float]) -> dict[str, list[Any]]:
    """Means of neighbours, where there are more points than can be seen."""
    width = math.ceil(len(steps) / _POINTS)
    groups = [values[i : i + width] for i in range(0, len(values), width)]
    return {
        "x": [steps[min(i + width, len(steps)) - 1] for i in range(0, len(steps), width)],
        "y": [float(f"{sum(group) / len(group):.6g}") for group in groups],
    }


def _rows(runs: Sequence[Run], styles: dict[int, dict[str, str]], metric: str) -> list[dict[str, Any]]:
    table, metrics = differences(runs), metrics_of(runs, metric)
    ended = [run for run in runs if run.state == "finished"]
    rows = []
    for i, run in enumerate(runs):
        figures = []
        for name in metrics:
            known = {value for value in (other.best_value(name) for other in ended) if value is not None}
            podium = sorted(known, reverse=not is_lower_better(name))[:2]
            value = run.best_value(name)
            place = podium.index(value) + 1 if run.state == "finished" and len(known) > 1 and value in podium else 0
            figures.append({"text": format_metric(run, name), "order": rank(run, name), "place": place})
        options = [{"text": format_value(values[i]), "order": _order(values, i)} for values in table.values()]
        rows.append({"run": run, "style": styles[id(run)], "options": options, "figures": figures})
    return rows


def _order(values: Sequence[Any], i: int) -> int:
    """An option's place among the others, numbers by size and the rest by name."""

    def key(value: Any) -> tuple[bool, float, str]:
        number = isinstance(value, int | float)
        return (not number, value if number else 0.0, str(value))

    return sorted({key(value) for value in values}).index(key(values[i]))


def _essentials(runs: Sequence[Run], ideas: Sequence[Idea]) -> dict[str, str]:
    ended = sum(run.state == "finished" for run in runs)
    stages = sorted({str(run.config["stage.name"]) for run in runs if "stage.name" in run.config})
    facts = {"runs": f"{len(runs)}, {ended} finished", "ideas": str(len(ideas)), "stage": ", ".join(stages)}
    return {key: value for key, value in facts.items() if value}


def _about(run: Run) -> dict[str, Any]:
    git = run.record.get("git") or {}
    commit = f"{str(git.get('commit', ''))[:12]}{', with changes' if git.get('dirty') else ''}" if git else None
    facts = {
        "state": _state(run),
        "typed": " ".join(map(str, run.record.get("overrides", ()))),
        "commit": commit,
        "torch": run.record.get("torch"),
        "loss trunk": run.record.get("loss_trunk"),
        "directory": str(run.path),
    }
    return {key: value for key, value in facts.items() if value}


def _state(run: Run) -> str:
    return f"{run.state}: {run.detail}" if run.detail else run.state
