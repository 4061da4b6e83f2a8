"""Networks as functions of tensors, against the system that they are taken from."""

import pytest
import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.app.systems import load_system
from flowchroma.models import FlowChroma
from flowchroma.models.estimate import Estimate
from flowchroma.models.fusion.bidirectional import TwoSided
from flowchroma.models.graphs import Graph, graph_of
from flowchroma.models.state import Signals
from flowchroma.types import Match


@pytest.fixture(scope="module")
def system() -> FlowChroma:
    loaded = load_system()
    return FlowChroma(loaded.flow, loaded.matcher, loaded.fusion, recent=2, every=1, bidirectional=loaded.bidirectional)


@pytest.fixture(scope="module")
@torch.no_grad()
def frames(system: FlowChroma) -> list[Signals]:
    """What is found for three frames of a scene that moves; the last one is matched with frames coloured before."""
    still = 20 + 60 * ops.window_mean(torch.rand(1, 1, 128, 144), 2)
    ab = 40 * ops.window_mean(torch.randn(1, 2, 128, 144), 8)
    state = system.start(torch.cat([still, ab], dim=1)[:, None])
    found = []
    for shift in range(3):
        luma = still.roll(shift, 3)
        found.append(system.estimate(luma, state))
        state = system.advance(luma, state).state
    return found


def named(graph: Graph, given: dict[str, Tensor]) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(zip(graph.outputs, graph(*(given[name] for name in graph.inputs)), strict=True))


def of_match(name: str, match: Match) -> dict[str, Tensor]:
    found = match.finest
    return {f"{name}_ab": found.ab, f"{name}_similarity": found.similarity, f"{name}_difference": found.difference}


def inputs_of(signals: Signals) -> dict[str, Tensor]:
    nothing = torch.zeros_like(signals.luma)
    empty = Match(signals.match.finest.ab, nothing, nothing, nothing)
    assert signals.origin is not None
    return {
        "luma": signals.luma,
        "carried_ab": signals.propagation.ab,
        "carried_confidence": signals.propagation.confidence,
        "flow_confidence": nothing if signals.flow is None else signals.flow.confidence,
        **of_match("match", signals.match),
        **of_match("recent", signals.recent or empty),
        "origin_difference": signals.origin.difference,
        "origin_similarity": signals.origin.similarity,
    }


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_frame_is_fused_as_by_the_system(place: int, system: FlowChroma, frames: list[Signals]) -> None:
    signals = frames[place]
    assert (signals.flow is None, signals.recent is None) == (place == 0, place < 2)
    found = named(graph_of("fusion", system.fusion), inputs_of(signals))
    with torch.no_grad():
        fused = system.fusion.fuse(signals)
    assert fused.propagated is not None
    assert torch.equal(found["ab"], fused.ab)
    assert torch.equal(found["confidence"], fused.confidence)
    off = 0.1 if signals.recent is None else 0.0  # what was not found counts a little
    for name, value in (
        ("ab", fused.propagated.ab),
        ("confidence", fused.propagated.confidence),
        ("share", fused.propagated.carried_share),
    ):
        assert (found[f"propagated_{name}"] - value).abs().max() <= off


def test_both_directions_are_weighed_as_by_the_system(system: FlowChroma, frames: list[Signals]) -> None:
    assert system.bidirectional is not None
    match, luma, position = frames[2].match, frames[2].luma, torch.tensor([0.3])
    forward, backward = (Estimate(40 * torch.randn(1, 2, 128, 144), 1 + 9 * torch.rand_like(luma)) for _ in range(2))
    given = {"luma": luma, "position": position, **of_match("match", match)}
    for way, estimate in (("forward", forward), ("backward", backward)):
        given |= {f"{way}_ab": estimate.ab, f"{way}_error": estimate.error}
    found = named(graph_of("bidirectional", system.bidirectional), given)
    with torch.no_grad():
        expected = system.bidirectional(TwoSided(luma, forward, backward, match.finest, position))
    assert torch.equal(found["ab"], expected.ab)
    assert torch.equal(found["error"], expected.error)
