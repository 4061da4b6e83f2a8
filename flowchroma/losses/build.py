"""The losses that the configurations name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from flowchroma.errors import UserError
from flowchroma.losses.census import FlowCensus
from flowchroma.losses.chroma_smoothness import ChromaSmoothness
from flowchroma.losses.contextual import Contextual
from flowchroma.losses.flow import FlowColor, FlowEndPoint
from flowchroma.losses.l1 import L1
from flowchroma.losses.perceptual import Perceptual, SquaredPerceptual
from flowchroma.losses.photometric import FlowPhotometric
from flowchroma.losses.smoothness import FlowSmoothness
from flowchroma.losses.temporal import Temporal
from flowchroma.losses.trunk import BorrowedTrunk, SharedTrunk
from flowchroma.losses.weighted import WeightedSum
from flowchroma.models.vgg import nearest_layer
from flowchroma.weights import load_vgg

PERCEPTUAL_LAYERS = {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_2": 1.0, "relu4_2": 1.0}
CONTEXTUAL_LAYERS = {"relu3_2": 1.0, "relu4_2": 1.0}
PUBLISHED_LEVELS = (1.0, 2.0, 4.0, 8.0)  # of SwinTExCo's contextual loss


def color_loss(
    *,
    l1: float = 1.0,
    perceptual: float = 0.05,
    contextual: float = 0.1,
    temporal: float = 0.5,
    trunk: str = "vgg19",
    weights: str | Path = "auto",
    download: bool = True,
    perceptual_layers: Mapping[str, float] = PERCEPTUAL_LAYERS,
    contextual_layers: Mapping[str, float] = CONTEXTUAL_LAYERS,
    bandwidth: float = 0.1,
    alpha: float = 50.0,
) -> WeightedSum:
    """Build the loss of a frame's colour. The feature network is loaded once, and only if a term with weight needs it.

    Args:
        l1: weight of `L1`.
        perceptual: weight of `Perceptual`.
        contextual: weight of `Contextual`.
        temporal: weight of `Temporal`.
        trunk: "vgg19" or "vgg16".
        weights: "auto", "shipped" or a file; see `load_vgg`.
        download: see `load_vgg`.
        perceptual_layers: weight of each layer.
        contextual_layers: weight of each layer.
        bandwidth: of `Contextual`.
        alpha: of `Temporal`.

    Raises:
        UserError: a weight below 0, or a trunk that cannot be had.
    """
    scale = {"l1": l1, "perceptual": perceptual, "contextual": contextual, "temporal": temporal}
    terms: dict[str, nn.Module] = {"l1": L1(), "temporal": Temporal(alpha)}
    used = None
    wanted = {**(perceptual_layers if perceptual else {}), **(contextual_layers if contextual else {})}
    if wanted:
        network, used = load_vgg(trunk, list(wanted), weights, download)
        shared = SharedTrunk(network)
        if perceptual:
            terms["perceptual"] = Perceptual(shared, _serve(perceptual_layers, network.layers))
        if contextual:
            served = _serve(contextual_layers, network.layers)
            shares = {layer: weight / sum(served.values()) for layer, weight in served.items()}
            terms["contextual"] = Contextual(shared, shares, bandwidth)
    return WeightedSum(terms, {name: scale[name] for name in terms}, used)


def swintexco_loss(
    trunk: nn.Module,
    *,
    l1: float = 1.0,
    perceptual: float = 0.15,
    contextual: float = 0.015,
    smoothness: float = 150.0,
    temporal: float = 0.0,
    levels: Sequence[float] = PUBLISHED_LEVELS,
    bandwidth: float = 0.1,
    spread: float = 10.0,
    alpha: float = 50.0,
) -> WeightedSum:
    """Build the published loss of SwinTExCo but for its adversarial term, which `AdversarialStage` adds.

    Weights are the published ones, for terms in the published units: L1 and smoothness in CIELAB units, perceptual and
    contextual in the features of the matching network's own trunk, which stays frozen.

    Args:
        trunk: of the matching network, see `BorrowedTrunk`.
        l1: weight of `L1`, in CIELAB units.
        perceptual: weight of `SquaredPerceptual` on the deepest level.
        contextual: weight of `Contextual` on every level, where the output's positions seek.
        smoothness: weight of `ChromaSmoothness`.
        temporal: weight of `Temporal`.
        levels: weight of each level in `contextual`, the finest first; a trunk with fewer levels lacks the finest.
        bandwidth: of `Contextual`.
        spread: of `ChromaSmoothness`.
        alpha: of `Temporal`.

    Raises:
        UserError: a weight below 0, all of them 0, or more levels than `levels` weighs.
    """
    terms: dict[str, nn.Module] = {
        "l1": L1(unit=1.0),
        "smoothness": ChromaSmoothness(spread),
        "temporal": Temporal(alpha),
    }
    used = None
    if perceptual or contextual:
        shared = BorrowedTrunk(trunk)
        if len(shared.layers) > len(levels):
            raise UserError(f"the trunk has {len(shared.layers)} levels: give loss.levels a weight for each")
        weights = dict(zip(shared.layers, reversed(levels), strict=False))
        terms["perceptual"] = SquaredPerceptual(shared, {"deepest": 1.0})
        terms["contextual"] = Contextual(shared, weights, bandwidth, seeker="output")
        used = f"the matching network's own, {len(shared.layers)} levels"
    scale = {
        "l1": l1,
        "perceptual": perceptual,
        "contextual": contextual,
        "smoothness": smoothness,
        "temporal": temporal,
    }
    return WeightedSum(terms, {name: scale[name] for name in terms}, used)


def flow_loss(
    *,
    color: float = 1.0,
    epe: float = 0.1,
    census: float = 0.0,
    photometric: float = 0.0,
    smoothness: float = 0.0,
    order: int = 1,
    gamma: float = 0.85,
) -> WeightedSum:
    """Build the loss of a flow's iterations. A term of weight 0 is not computed.

    Args:
        color: weight of `FlowColor`.
        epe: weight of `FlowEndPoint`.
        census: weight of `FlowCensus`.
        photometric: weight of `FlowPhotometric`.
        smoothness: weight of `FlowSmoothness`.
        order: of `FlowSmoothness`.
        gamma: discount of an iteration against the next.

    Raises:
        UserError: a weight below 0, all of them 0, or an order other than 1 and 2.
    """
    terms: dict[str, nn.Module] = {
        "color": FlowColor(gamma),
        "epe": FlowEndPoint(gamma),
        "census": FlowCensus(gamma),
        "photometric": FlowPhotometric(gamma),
        "smoothness": FlowSmoothness(gamma, order),
    }
    scale = {"color": color, "epe": epe, "census": census, "photometric": photometric, "smoothness": smoothness}
    return WeightedSum(terms, scale)


def _serve(layers: Mapping[str, float], available: tuple[str, ...]) -> dict[str, float]:
    """Give each layer's weight to the layer that serves for it, which may serve for several."""
    if bad := [layer for layer, weight in layers.items() if weight <= 0]:
        raise UserError(f"the loss's layer {', '.join(bad)} has a weight of 0 or less: leave it out")
    served: dict[str, float] = {}
    for layer, weight in layers.items():
        nearest = nearest_layer(layer, available)
        served[nearest] = served.get(nearest, 0.0) + weight
    return served
