"""The page's two charts as Plotly figures, for a notebook."""

from collections.abc import Sequence
from typing import Any

from flowchroma.pages import series_style
from flowchroma.runs.ideas import Idea, seed_noise_of
from flowchroma.runs.training_run import DEFAULT_METRIC, is_lower_better, unit_of


def idea_figure(ideas: Sequence[Idea], metric: str = DEFAULT_METRIC) -> Any:
    """A dot for each finished run, a bar for each idea's mean, and what seeds alone can make of its lag.

    Args:
        ideas: as from `ideas_of`, the best first.
        metric: what they were ranked by.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    from plotly import graph_objects

    drawn = graph_objects.Figure()
    noise = seed_noise_of(ideas)
    sign = -1 if is_lower_better(metric) else 1
    ranked = [(i, idea) for i, idea in enumerate(ideas) if idea.mean is not None]
    for i, idea in ranked:
        of_idea = {"color": series_style(i)["color"]}
        margin = noise.margin(len(ranked[0][1].values), len(idea.values)) if i else None
        drawn.add_scatter(
            x=[idea.mean],
            y=[idea.label],
            mode="markers",
            marker={"symbol": "line-ns", "size": 20, "line": {"width": 3, **of_idea}},
            error_x=None if margin is None else {"array": [sign * margin], "arrayminus": [0], **of_idea},
            name=f"{idea.label}, mean",
        )
        drawn.add_scatter(
            x=list(idea.values),
            y=[idea.label] * len(idea.values),
            mode="markers",
            marker={"symbol": series_style(i)["symbol"], "size": 9, "opacity": 0.6, **of_idea},
            name=idea.label,
        )
    if ranked:
        drawn.add_vline(x=ranked[0][1].mean, line={"dash": "dot", "width": 1})
    return _laid_out(drawn, metric, height=150 + 44 * len(ranked)).update_yaxes(autorange="reversed", title="")


def curve_figure(ideas: Sequence[Idea], metric: str = DEFAULT_METRIC) -> Any:
    """A line for each run, coloured by its idea; returns a `plotly.graph_objects.Figure`."""
    from plotly import graph_objects

    drawn = graph_objects.Figure()
    for i, idea in enumerate(ideas):
        for run in idea.runs:
            if metric in run.curves:
                steps, values = run.curves[metric]
                line = {"color": series_style(i)["color"], "dash": series_style(i)["dash"]}
                drawn.add_scatter(x=steps, y=values, mode="lines", line=line, name=run.title)
    return _laid_out(drawn, metric, height=400).update_layout(showlegend=True).update_xaxes(title="step")


def _laid_out(drawn: Any, metric: str, height: int) -> Any:
    title = f"{metric} ({unit_of(metric)})" if unit_of(metric) else metric
    margin = {"l": 8, "r": 8, "t": 8, "b": 8}
    drawn.update_layout(template="plotly_white", height=height, margin=margin, showlegend=False)
    return drawn.update_xaxes(title=title).update_yaxes(title=title)
