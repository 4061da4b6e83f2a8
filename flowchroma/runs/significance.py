"""Which idea won, by how much, and whether that is more than noise: one sentence or two."""

from collections.abc import Sequence

from flowchroma.runs.ideas import Idea, SeedNoise
from flowchroma.runs.training_run import DEFAULT_METRIC, Run, is_lower_better, unit_of

# What decides which clips a run is validated on. The same set may lie under another root.
_CLIPS = ("data.size", "data.val_", "data.sources.")
_TRAINED_ON = (".clips_per_film", ".clips_per_epoch", ".weight", ".train_films", ".train_list")


def comparison_summary(ideas: Sequence[Idea], noise: SeedNoise, metric: str = DEFAULT_METRIC) -> str:
    """Say which of the ideas, ranked by `metric`, leads; nothing where no run has finished."""
    ranked = [idea for idea in ideas if idea.mean is not None]
    if not ranked:
        return ""
    again = [f"{idea.label or idea.runs[0].name}: {idea.repeated}" for idea in ideas if idea.repeated]
    note = f" Runs whose seed was run again do not count ({', '.join(again)})." if again else ""
    return _leader(ranked, noise, metric) + note


def _leader(ranked: Sequence[Idea], noise: SeedNoise, metric: str) -> str:
    first = ranked[0]
    over = f" ± {first.spread:.2f} over {len(first.values)} seeds" if first.spread is not None else ""
    figure = f"{metric} {_quantity(first.mean, metric)}{over}"
    if len(ranked) == 1:
        return f"{first.label or first.runs[0].name}: {figure}."
    second = ranked[1]
    gap = abs((first.mean or 0.0) - (second.mean or 0.0))
    margin = noise.margin(len(first.values), len(second.values))
    side = "below" if is_lower_better(metric) else "above"
    lead = f"{first.label} leads: {figure}, {_quantity(gap, metric)} {side} {second.label}."
    if margin is None:
        return f"{lead} No idea has two finished seeds: nothing tells this lead from noise."
    if noise.deviation == 0:
        return f"{lead} Seeds make no difference."
    compared = "more" if gap > margin else "less"
    end = "" if gap > margin else ": more seeds would tell"
    return f"{lead} That is {compared} than the {_quantity(margin, metric)} that seeds alone explain{end}."


def validation_mismatch(runs: Sequence[Run]) -> str:
    """Why the figures of some runs are not of the same clips; nothing where they are, as far as their configs tell."""
    keys = {key: {str(run.config.get(key)) for run in runs if run.config} for run in runs for key in run.config}
    changed = [key for key, values in keys.items() if len(values) > 1 and key.startswith(_CLIPS)]
    changed = [key for key in changed if not key.endswith(_TRAINED_ON)]
    if not changed:
        return ""
    return f"Their figures do not compare: they differ in {', '.join(changed)}, and so in the clips of their validation"


def _quantity(value: float | None, metric: str) -> str:
    return f"{value:.2f} {unit_of(metric)}".rstrip()
