import pytest
import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.app.systems import load_part
from flowchroma.models import MemFlow
from flowchroma.models.memflow import (
    Architecture,
    Evidence,
    ForwardBackward,
    MatchingEntropy,
    Photometric,
    UpsamplingEntropy,
)

ALL = [Photometric(), ForwardBackward(), ForwardBackward(None, 2), MatchingEntropy(), UpsamplingEntropy()]


def scene(height: int, width: int) -> Tensor:
    coarse = torch.rand(1, 1, height // 6 + 2, width // 6 + 2)
    return 20 + 60 * torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def narrow(confidence, **changes) -> MemFlow:
    architecture = Architecture(
        widths=(8, 12, 16), features=16, hidden=10, radius=2, motion_widths=(12, 9, 6, 4), kernels=(5, 3)
    )
    return MemFlow(
        architecture, mask_width=8, iterations=2, confidence=confidence, start=ops.lucas_kanade, **changes
    ).eval()


def evidence(luma: Tensor, previous: Tensor, flow: Tensor, opposite=None) -> Evidence:
    """Of what looks at frames and flow alone."""
    nothing = torch.empty(0)
    return Evidence(luma, previous, flow, nothing, nothing, None, opposite)  # type: ignore[arg-type]


def occluded() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A bright square moves 8 pixels right over still ground: frames, the true flow, what it uncovered."""
    ground = scene(64, 96)
    previous, luma, flow = ground.clone(), ground.clone(), torch.zeros(1, 2, 64, 96)
    square = 30 + scene(24, 24) / 2
    previous[..., 20:44, 30:54] = luma[..., 20:44, 38:62] = square
    flow[:, 0, 20:44, 38:62] = -8
    uncovered = torch.zeros(1, 1, 64, 96, dtype=torch.bool)
    uncovered[..., 20:44, 30:38] = True
    return luma, previous, flow, uncovered


@torch.no_grad()
@pytest.mark.parametrize("confidence", ALL, ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("limit", [512.0, 0.0])
def test_every_confidence_is_within_bounds_at_any_size(confidence, limit: float) -> None:
    network = narrow(confidence, volume_limit=limit)
    clip = 100 * torch.rand(2, 3, 1, 45, 70)
    state = None
    for luma in clip.unbind(1):
        found, state = network.step(luma, state)
    assert found is not None
    assert found.confidence.shape == (2, 1, 45, 70)
    assert 0 <= found.confidence.min() <= found.confidence.max() <= 1
    assert found.confidence.std() > 0


@torch.no_grad()
def test_matching_entropy_is_the_same_whether_the_volume_is_held() -> None:
    torch.manual_seed(0)
    network = narrow(MatchingEntropy(0.5))
    first, second = scene(64, 80), scene(64, 80)
    maps = []
    for network.volume_limit in (512.0, 0.0):
        _, state = network.step(first, None)
        maps.append(network.step(second, state)[0].confidence)
    torch.testing.assert_close(*maps, atol=1e-5, rtol=0)


def test_photometric_sees_what_is_uncovered_under_a_change_of_light() -> None:
    luma, previous, flow, uncovered = occluded()
    for frame in (luma, 0.8 * luma + 6):
        sure = Photometric()(evidence(frame, previous, flow))
        assert sure[~ops.window_mean(uncovered.float(), 6).gt(0)].min() > 0.85
        assert sure[uncovered].mean() < 0.75 * sure[~uncovered].mean()


def test_photometric_is_the_closed_form() -> None:
    luma, previous, flow, _ = occluded()
    difference = (luma - ops.light_fitted(ops.backward_warp(previous, flow), luma)).abs()
    padded = [torch.nn.functional.pad(difference, (r,) * 4, mode="replicate") for r in (1, 6)]
    means = [torch.nn.functional.avg_pool2d(x, 2 * r + 1, 1) for x, r in zip(padded, (1, 6), strict=True)]
    expected = torch.exp(-(means[0] + means[1]) / 2 / 15)
    torch.testing.assert_close(Photometric()(evidence(luma, previous, flow)), expected, atol=1e-4, rtol=0)


def test_forward_backward_is_sure_where_flows_are_opposite() -> None:
    luma, previous, flow, uncovered = occluded()
    back = torch.zeros_like(flow)
    back[:, 0, 20:44, 30:54] = 8
    sure = ForwardBackward(lambda first, second: back)(evidence(luma, previous, flow))
    assert sure[~uncovered].min() == 1
    # |flow + back|^2 = 64 and the bound 0.01 * 64 + 0.5
    torch.testing.assert_close(sure[uncovered].max(), torch.tensor(-64 / 1.14).exp())


def test_forward_backward_asks_for_the_flow_from_the_frame_before() -> None:
    luma, previous, flow, _ = occluded()
    asked = []

    def opposite(first: Tensor, second: Tensor) -> Tensor:
        asked.append((first is previous, second is luma))
        return -flow

    ForwardBackward(opposite)(evidence(luma, previous, flow))
    assert asked == [(True, True)]


@torch.no_grad()
def test_the_network_looks_the_other_way_round() -> None:
    ground = scene(64, 120)
    luma, previous = ground[..., 10:106], ground[..., 14:110]  # what is at x now was at x - 4
    seen = []

    def ask(found: Evidence) -> Tensor:
        seen.extend([found.flow, found.opposite(2)])
        return found.luma / 100

    network = narrow(ask)
    _, state = network.step(previous, None)
    network.step(luma, state)
    flow, back = (x[..., 16:-16, 16:-16].flatten(2).median(-1).values[0] for x in seen)
    torch.testing.assert_close(flow, torch.tensor([-4.0, 0.0]), atol=0.4, rtol=0)
    torch.testing.assert_close(back, -flow, atol=0.4, rtol=0)


def test_upsampling_entropy_of_known_weights() -> None:
    weights = torch.full((1, 9, 8, 8, 2, 3), 1 / 9)
    weights[:, :, 2, 5, 1, 0] = torch.eye(9)[4]
    luma = torch.zeros(1, 1, 16, 24)
    found = Evidence(luma, luma, luma.expand(-1, 2, -1, -1), luma, weights, None, lambda n: luma)  # type: ignore[arg-type]
    sure = UpsamplingEntropy()(found)
    expected = torch.zeros(1, 1, 16, 24)
    expected[0, 0, 8 + 2, 5] = 1
    torch.testing.assert_close(sure, expected, atol=1e-6, rtol=0)


def test_configs_choose_and_the_shipped_system_has_the_default(build) -> None:
    for name in ("memflow", "memflow_small"):
        network = build(name)
        assert isinstance(network.confidence, Photometric)
        assert network.cut is not None
    other = build("memflow_small", "model.confidence._target_=flowchroma.models.memflow.MatchingEntropy")
    assert isinstance(other.confidence, MatchingEntropy)
    assert isinstance(load_part("flow").confidence, Photometric)


@torch.no_grad()
def test_a_splice_starts_the_stream_afresh_and_a_flash_does_not(build) -> None:
    network = build("memflow_small")
    first, second = scene(96, 140), scene(96, 140)
    _, state = network.step(first, None)
    flow, state = network.step(0.7 * first + 25, state)
    assert flow is not None
    flow, state = network.step(first.roll(2, -1), state)
    assert flow is not None
    assert state.keys.shape[1] > 0
    flow, state = network.step(second, state)
    fresh = network.step(second, None)[1]
    assert flow is None
    assert state.keys.shape[1] == state.values.shape[1] == 0
    after = [network.step(second.roll(2, -1), s)[0] for s in (state, fresh)]
    assert torch.equal(after[0].flow, after[1].flow)


@torch.no_grad()
def test_a_stream_without_cuts_is_that_of_no_detector_and_of_the_clip_form(build) -> None:
    network = build("memflow_small")
    ground = scene(64, 96)
    clip = torch.stack([ground.roll(2 * t, -1) for t in range(4)], dim=1)
    whole, state, flows = network(clip), None, []
    for luma in clip.unbind(1):
        flow, state = network.step(luma, state)
        flows.append(flow)
    for flow, iterates in zip(flows[1:], whole, strict=True):
        torch.testing.assert_close(flow.flow, iterates[-1], atol=1e-5, rtol=0)


@torch.no_grad()
def test_clips_in_training_are_never_cut(build) -> None:
    network = build("memflow_small")
    clip = torch.stack([scene(64, 96), scene(64, 96)], dim=1)
    assert network.step(clip[:, 1], network.step(clip[:, 0], None)[1])[0] is None
    assert torch.isfinite(network(clip)[0][-1]).all()


@torch.no_grad()
def test_an_item_that_cuts_alone_is_not_trusted(build) -> None:
    network = build("memflow_small")
    one, other = scene(64, 96), scene(64, 96)
    _, state = network.step(torch.cat([one, one]), None)
    flow, state = network.step(torch.cat([one, other]), state)
    assert flow.confidence[0].min() > 0.8
    assert flow.confidence[1].max() == 0
    assert state.keys.shape[1] > 0
