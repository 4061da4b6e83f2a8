"""The loss of a run's record, as releases wrote it whose losses were built by a function each."""

from collections.abc import Callable
from typing import Any

Options = dict[str, Any]

_COLOR = {"l1": 1.0, "perceptual": 0.05, "contextual": 0.1, "temporal": 0.5}
_FLOW = {"color": 1.0, "epe": 0.1, "census": 0.0, "photometric": 0.0, "smoothness": 0.0}
_PUBLISHED = {"l1": 1.0, "perceptual": 0.15, "contextual": 0.015, "smoothness": 150.0, "temporal": 0.0}


def upgrade_loss(record: Options) -> Options:
    """Give a plain record's loss as a weighted sum of terms; one of today's, or none, is unchanged."""
    old = record.get("loss")
    if not isinstance(old, dict):
        return record
    upgrade = _UPGRADES.get(str(old.get("_target_")).removeprefix("flowchroma.losses."))
    return record if upgrade is None else {**record, "loss": upgrade(old)}


def _color(old: Options) -> Options:
    settings = {"trunk": "vgg19", "weights": "auto", "download": True}
    settings = {name: old.get(name, value) for name, value in settings.items()}
    names = {"arch": "trunk", "weights": "weights", "download": "download"}
    trunk = _term("vgg_trunk", **{argument: settings[name] for argument, name in names.items()})
    del trunk["_partial_"]
    four = old.get("perceptual_layers", dict.fromkeys(("relu1_2", "relu2_2", "relu3_2", "relu4_2"), 1.0))
    two = old.get("contextual_layers", dict.fromkeys(("relu3_2", "relu4_2"), 1.0))
    shares = {layer: weight / sum(two.values()) for layer, weight in two.items()}
    terms = {
        "l1": _term("L1", unit=110.0),
        "perceptual": _term("Perceptual", trunk=trunk, layers=four),
        "contextual": _term("Contextual", trunk=trunk, layers=shares, bandwidth=old.get("bandwidth", 0.1)),
        "temporal": _term("Temporal", alpha=old.get("alpha", 50.0)),
    }
    return _sum(old, terms, _COLOR, settings)


def _published(old: Options) -> Options:
    levels = old.get("levels", [1.0, 2.0, 4.0, 8.0])
    contextual = {"layers": levels, "bandwidth": old.get("bandwidth", 0.1), "seeker": "output"}
    terms = {
        "l1": _term("L1", unit=1.0),
        "perceptual": _term("SquaredPerceptual", layers={"deepest": 1.0}),
        "contextual": _term("Contextual", **contextual),
        "smoothness": _term("ChromaSmoothness", spread=old.get("spread", 10.0)),
        "temporal": _term("Temporal", alpha=old.get("alpha", 50.0)),
    }
    return {**_sum(old, terms, _PUBLISHED, {"levels": levels}), "_partial_": True}


def _flow(old: Options) -> Options:
    gamma, order = old.get("gamma", 0.85), old.get("order", 1)
    classes = {"color": "FlowColor", "epe": "FlowEndPoint", "census": "FlowCensus", "photometric": "FlowPhotometric"}
    terms = {name: _term(target, gamma=gamma) for name, target in classes.items()}
    terms["smoothness"] = _term("FlowSmoothness", gamma=gamma, order=order)
    return _sum(old, terms, _FLOW, {"order": order, "gamma": gamma})


def _term(target: str, **arguments: Any) -> Options:
    return {"_target_": f"flowchroma.losses.{target}", "_partial_": True, **arguments}


def _sum(old: Options, terms: Options, weights: Options, settings: Options) -> Options:
    weights = {name: old.get(name, weight) for name, weight in weights.items()}
    target = {"_target_": "flowchroma.losses.weighted_sum", "settings": list(settings)}
    return {**target, "terms": terms, **weights, **settings}


_UPGRADES: dict[str, Callable[[Options], Options]] = {
    "color_loss": _color,
    "swintexco_loss": _published,
    "flow_loss": _flow,
}
