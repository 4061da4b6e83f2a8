from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from flowchroma import ops
from flowchroma.models import MemFlow, MemFlowSmall
from flowchroma.models.memflow import Architecture, FlowEstimator, Refiner
from flowchroma.models.state import FlowState

NARROW = Architecture(widths=(8, 12, 16), features=16, hidden=10, radius=2, motion_widths=(12, 9, 6, 4), kernels=(5, 3))


def narrow(seed: int = 0, refined: bool = False, **changes: object) -> FlowEstimator:
    """One of both networks at a tenth of the published width, with every layer doing something."""
    torch.manual_seed(seed)
    network = (
        MemFlowSmall(NARROW, Refiner(hidden=10), **{"start": None, "iterations": 3, "memory_pool": 1, **changes})
        if refined
        else MemFlow(NARROW, mask_width=8, **{"iterations": 3, **changes})
    ).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def film(frames: int, height: int, width: int, batch: int = 1) -> Tensor:
    coarse = torch.rand(batch * frames, 1, height // 4 + 2, width // 4 + 2)
    return 100 * torch.nn.functional.interpolate(coarse, size=(height, width)).view(batch, frames, 1, height, width)


@torch.no_grad()
def stream(network: FlowEstimator, clip: Tensor) -> tuple[list[Tensor], FlowState]:
    flows, state = [], None
    for luma in clip.unbind(1):
        flow, state = network.step(luma, state)
        if flow is not None:
            flows.append(flow.flow)
    assert state is not None
    return flows, state


def test_published_size(build) -> None:
    positions = 2 * 319 * 128  # the table that is never read
    assert sum(p.numel() for p in build("memflow").parameters()) + positions == 6_273_149


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(9, 150),
    width=st.integers(9, 150),
    memory=st.integers(1, 3),
    limit=st.sampled_from([512.0, 0.0]),
    refined=st.booleans(),
)
def test_streaming_equals_the_clip_form_at_any_size(
    height: int, width: int, memory: int, limit: float, refined: bool
) -> None:
    network = narrow(refined=refined, memory_frames=memory, volume_limit=limit)
    clip = film(4, height, width, batch=2)
    with torch.enable_grad():
        whole = network(clip)
    for found, iterates in zip(stream(network, clip)[0], whole, strict=True):
        assert found.shape == (2, 2, height, width)
        assert torch.isfinite(found).all()
        torch.testing.assert_close(found, iterates[-1].detach(), atol=1e-5 * max(1, float(found.abs().max())), rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("size", [(72, 45), (40, 130)])
def test_published_width_takes_frames_smaller_than_128(build, size: tuple[int, int]) -> None:
    network = build("memflow", "model.iterations=2", "model.cut=null")  # every frame is another noise
    clip = film(2, *size)
    found, _ = stream(network, clip)
    assert found[0].shape == (1, 2, *size)
    assert torch.isfinite(found[0]).all()
    assert torch.isfinite(network(clip)[0][-1]).all()


@torch.no_grad()
def test_nothing_depends_on_whether_the_volume_is_held() -> None:
    clip = film(4, 96, 120)
    held, pieces = (stream(narrow(volume_limit=limit), clip)[0] for limit in (512, 0))
    for a, b in zip(held, pieces, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_memory_holds_the_newest_frames_and_no_more() -> None:
    clip, tokens = film(6, 64, 64), 64
    sizes, state = [], None
    network = narrow(memory_frames=3)
    with torch.no_grad():
        for luma in clip.unbind(1):
            _, state = network.step(luma, state)
            sizes.append((state.keys.shape[1] // tokens, state.values.shape[1] // tokens))
    # The first frame has no flow, so no motion to remember.
    assert sizes == [(0, 0), (1, 1), (2, 2), (3, 3), (3, 3), (3, 3)]
    assert all(t.untyped_storage().nbytes() == 3 * tokens * 10 * 4 for t in (state.keys, state.values))
    newest = network.encode(clip[:, -1]).key
    torch.testing.assert_close(state.keys[:, -tokens:], newest)


@torch.no_grad()
def test_memories_differ_only_once_more_frames_are_remembered() -> None:
    clip = film(5, 64, 64)
    one, three = (stream(narrow(memory_frames=n), clip)[0] for n in (1, 3))
    for t in range(2):
        torch.testing.assert_close(one[t], three[t], atol=0, rtol=0)
    assert (one[2] - three[2]).abs().max() > 1e-5


@torch.no_grad()
@pytest.mark.parametrize("frame", [0, 1, 2])
def test_each_of_three_remembered_frames_is_attended_to(frame: int) -> None:
    network = narrow(memory_frames=3)
    clip = film(6, 64, 64)
    _, state = stream(network, clip[:, :5])
    values = state.values.clone()
    values[:, 64 * frame : 64 * (frame + 1)] += 5
    # Keys that are alike are read alike.
    states = [replace(state, keys=torch.zeros_like(state.keys), values=v) for v in (state.values, values)]
    flows = [network.step(clip[:, 5], s)[0].flow for s in states]
    assert (flows[0] - flows[1]).abs().max() > 1e-3


@torch.no_grad()
def test_a_shot_that_starts_afresh_knows_nothing_of_the_one_before() -> None:
    network = narrow()
    before, after = film(3, 64, 72), film(3, 64, 72)
    stream(network, before)
    cut, state = stream(network, after)
    fresh, fresh_state = stream(narrow(), after)
    assert all(torch.equal(a, b) for a, b in zip(cut, fresh, strict=True))
    assert torch.equal(state.values, fresh_state.values)


@torch.no_grad()
def test_a_step_encodes_one_frame_and_upsamples_one_iteration() -> None:
    network, calls = narrow(), []
    for part in (network.fnet, network.cnet, network.update_block.mask, network.update_block.gru):
        part.register_forward_hook(lambda part, inputs, _: calls.append((part, len(inputs[0]))))
    stream(network, film(3, 64, 64))
    counts = [sum(batch for p, batch in calls if p is part) for part in (network.fnet, network.cnet)]
    assert counts == [3, 3]
    assert sum(p is network.update_block.mask for p, _ in calls) == 2
    assert sum(p is network.update_block.gru for p, _ in calls) == 2 * 3


@pytest.mark.parametrize("refined", [False, True])
def test_every_parameter_learns_and_no_iterate_reaches_the_one_before(refined: bool) -> None:
    # With a refiner, all that the coarse grid knows of the flow is its start.
    network = narrow(refined=refined, start=ops.lucas_kanade if refined else None).train()
    iterates = network(film(3, 64, 64))
    sum(flow.square().mean() for pair in iterates for flow in pair).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    now = network.encode(film(1, 64, 64)[:, 0])
    start = torch.zeros(1, 2, 8, 8, requires_grad=True)
    *_, last = network.iterate(now, now.features, now.key[:, :0], now.key[:, :0], start)
    (last.flow.sum() + last.hidden.sum()).backward()
    assert start.grad is None
    assert torch.equal(last.flow, start) == refined


def test_bfloat16_autocast_trains_with_flow_in_float32() -> None:
    network = narrow().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        iterates = network(film(2, 64, 64))
    assert iterates[0][-1].dtype == torch.float32
    iterates[0][-1].mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("refined", [False, True])
def test_two_frames_and_what_is_remembered_give_what_streaming_gives(refined: bool) -> None:
    network, clip = narrow(refined=refined), film(3, 64, 80)
    first, second, third = clip.unbind(1)
    with torch.no_grad():
        _, state = network.step(first, None)
        flow, state = network.step(second, state)
        nothing = state.keys[:, :0]
        found, keys, values = network.between(second, first, nothing, nothing)
        torch.testing.assert_close((found.flow, found.confidence), (flow.flow, flow.confidence))
        expected, last = network.step(third, state)
        found, *remembered = network.between(third, second, keys, values)
    torch.testing.assert_close(found.colour_flow, expected.colour_flow)
    torch.testing.assert_close(remembered, [last.keys, last.values])
