"""The networks with tensors alone going in and out, as programs without this package run them.

Frames are (1, C, H, W), H and W multiples of 16. Inputs are listed with their channels; what has none is no image.
"""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from flowchroma.models.contracts import Fusion, Matcher
from flowchroma.models.estimate import Estimate
from flowchroma.models.fusion.bidirectional import BidirectionalFusion, TwoSided
from flowchroma.models.memflow.estimator import FlowEstimator
from flowchroma.models.state import CarriedOrigin, Signals
from flowchroma.types import Flow, Match, Propagation

_MATCH = {"ab": 2, "similarity": 1, "difference": 1}


class Graph(nn.Module):
    """A network as a function of tensors.

    Attributes:
        inputs: names and channels of what `forward` takes, in order; None for what is no image.
        outputs: names of what it gives, in order.
    """

    inputs: Mapping[str, int | None]
    outputs: tuple[str, ...]


class FlowGraph(Graph):
    """Luminance of two frames, and what is remembered, to the flow from the first back to the second.

    `colour_flow` is the flow that colour is carried along, see `Flow`. Keys and values, (1, M, D), are those that the
    frame before gave; M is 0 at a film's start and after a cut.
    """

    inputs: Mapping[str, int | None] = {"luma": 1, "previous": 1, "keys": None, "values": None}
    outputs = ("flow", "colour_flow", "confidence", "next_keys", "next_values")

    def __init__(self, network: FlowEstimator) -> None:
        super().__init__()
        self.network = network

    def forward(self, luma: Tensor, previous: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, ...]:
        """Give the `outputs`."""
        flow, keys, values = self.network.between(luma, previous, keys, values)
        return flow.flow, flow.colour_flow.clone(), flow.confidence, keys, values


class FeaturesGraph(Graph):
    """Luminance to what a frame is compared by, see `Matcher.features`."""

    inputs: Mapping[str, int | None] = {"luma": 1}
    outputs = ("features",)

    def __init__(self, network: Matcher) -> None:
        super().__init__()
        self.network = network

    def forward(self, luma: Tensor) -> tuple[Tensor, ...]:
        """Give the `outputs`."""
        return (self.network.features(luma),)


class FusionGraph(Graph):
    """Luminance, carried and matched colours to one colour and the confidence in it, and what is carried on.

    Recent frames and the origin are among the inputs where the fusion reads them, and with the origin the share of the
    carried colour in what is carried on among the outputs; matches are by votes where it reads those.
    """

    def __init__(self, network: Fusion) -> None:
        super().__init__()
        self.network = network
        named = {"luma": 1, "carried_ab": 2, "carried_confidence": 1, "flow_confidence": 1}
        matches = ("match", "recent") if network.reads_recent else ("match",)
        named |= {f"{match}_{name}": channels for match in matches for name, channels in _MATCH.items()}
        if network.reads_origin:
            named |= {"origin_difference": 1, "origin_similarity": 1}
        self.inputs = named
        self.outputs = ("ab", "confidence", "propagated_ab", "propagated_confidence")
        if network.reads_origin:
            self.outputs += ("propagated_share",)

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Give the `outputs`."""
        found = dict(zip(self.inputs, images, strict=True))
        luma = found["luma"]
        carried = Propagation(found["carried_ab"], found["carried_confidence"])
        flow = Flow(luma.expand(-1, 2, -1, -1), found["flow_confidence"])
        recent = _match(found, "recent") if self.network.reads_recent else None
        origin = None
        if self.network.reads_origin:
            origin = CarriedOrigin(found["origin_difference"], found["origin_similarity"])
        fused = self.network.fuse(Signals(luma, carried, _match(found, "match"), recent, flow, None, origin))
        propagated = fused.propagated or fused
        # A copy of what is shown, where that is carried on: two outputs of a graph are two tensors.
        outputs = (fused.ab, fused.confidence, propagated.ab.clone(), propagated.confidence.clone())
        return outputs if origin is None or propagated.carried_share is None else (*outputs, propagated.carried_share)


class BidirectionalGraph(Graph):
    """Colours of both directions, with the errors expected of them, to one colour and the error expected of that."""

    inputs: Mapping[str, int | None] = {
        "luma": 1,
        **{
            f"{way}_{name}": channels for way in ("forward", "backward") for name, channels in (("ab", 2), ("error", 1))
        },
        **{f"match_{name}": channels for name, channels in _MATCH.items()},
        "position": None,
    }
    outputs = ("ab", "error")

    def __init__(self, network: BidirectionalFusion) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Give the `outputs`."""
        found = dict(zip(self.inputs, tensors, strict=True))
        forward, backward = (Estimate(found[f"{way}_ab"], found[f"{way}_error"]) for way in ("forward", "backward"))
        fused = self.network(TwoSided(found["luma"], forward, backward, _match(found, "match"), found["position"]))
        return fused.ab, fused.error


def graph_of(part: str, network: nn.Module) -> Graph:
    """The graph of a "flow", "matcher", "fusion" or "bidirectional" network."""
    graphs = {"flow": FlowGraph, "matcher": FeaturesGraph, "fusion": FusionGraph, "bidirectional": BidirectionalGraph}
    return cast(Graph, graphs[part](network).eval())


def _match(found: Mapping[str, Tensor], name: str) -> Match:
    ab, similarity, difference = (found[f"{name}_{of}"] for of in _MATCH)
    return Match(ab, similarity, difference, similarity)
