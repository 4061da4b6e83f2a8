import pytest
import torch
from torch import Tensor, nn

from flowchroma.models import BlendFusion, ErrorModel, FlowChroma, SimpleFusion, UNetFusion
from flowchroma.models.flowchroma import propagate
from flowchroma.ops import backward_warp
from flowchroma.types import Flow

SIZES = [(64, 96), (33, 47), (97, 50), (17, 130)]


def texture(*shape: int) -> Tensor:
    *outer, height, width = shape
    coarse = torch.rand(*outer, height // 4 + 2, width // 4 + 2).flatten(0, -3)[None]
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1).reshape(shape)


def lab(*shape: int) -> Tensor:
    picture = texture(*shape[:-3], 3, *shape[-2:])
    return picture * torch.tensor([90.0, 80, 80]).view(3, 1, 1) - torch.tensor([0.0, 40, 40]).view(3, 1, 1)


def shake(network: nn.Module) -> nn.Module:
    """Move every parameter, so that what starts at zero does something."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return network


@pytest.fixture
def system(build) -> FlowChroma:
    return FlowChroma(shake(build("memflow_small")), build("swintexco_small"), shake(SimpleFusion(width=14))).eval()


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("memflow_small", 200_000, 1_200_000),
        ("swintexco_small", 1_300_000, 1_500_000),
        ("simple", 45_000, 55_000),
        ("blend", 700_000, 900_000),
        ("placeholder", 0, 0),
    ],
)
def test_size(build, name: str, least: int, most: int) -> None:
    assert least <= sum(p.numel() for p in build(name).parameters()) <= most


@torch.no_grad()
def test_streaming_flow_equals_the_clip_form(build) -> None:
    flow = shake(build("memflow_small", "model.cut=null"))  # every frame is another noise
    clip = 100 * texture(2, 4, 1, 64, 80)
    whole = flow(clip)
    state = None
    for t in range(4):
        found, state = flow.step(clip[:, t], state)
        if t == 0:
            assert found is None
            continue
        torch.testing.assert_close(found.flow, whole[t - 1][-1], atol=1e-4, rtol=1e-5)
        assert state.keys.shape[1] == state.values.shape[1] == 2 * 3  # one frame, pooled by 4, however many were seen


@torch.no_grad()
def test_memory_of_more_frames_is_read_and_bounded(build) -> None:
    short, long = (build("memflow_small", "model.cut=null", f"model.memory_frames={n}") for n in (1, 2))
    long.load_state_dict(shake(short).state_dict())
    clip = 100 * texture(1, 5, 1, 64, 64)
    flows, states = [], []
    for network in (short, long):
        state = None
        for t in range(5):
            found, state = network.step(clip[:, t], state)
        flows.append(found.flow)
        states.append(state)
    assert [s.keys.shape[1] for s in states] == [4, 8]
    assert (flows[0] - flows[1]).abs().max() > 1e-6


@torch.no_grad()
def test_each_frame_is_encoded_once(build) -> None:
    flow, calls = build("memflow_small"), []
    flow.fnet.register_forward_hook(lambda *_: calls.append(1))
    state = None
    for _ in range(4):
        _, state = flow.step(100 * texture(1, 1, 64, 64), state)
    assert len(calls) == 4


@torch.no_grad()
def test_flow_points_back_to_the_frame_before(build) -> None:
    # The scene moves right by 3 pixels: what is at x now was at x - 3.
    scene = 100 * texture(1, 1, 96, 120)
    _, state = build("memflow_small").step(scene[..., 12:108], None)
    found, _ = build("memflow_small").step(scene[..., 9:105], state)
    x, y = found.flow[0, :, 20:-20, 20:-20].flatten(1).median(dim=1).values
    assert abs(x + 3) < 0.5
    assert abs(y) < 0.5


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
def test_any_size(system: FlowChroma, size: tuple[int, int]) -> None:
    state = system.start(lab(1, 2, 3, 40, 72))
    for _ in range(3):
        ab, state = system.step(100 * texture(1, 1, *size), state)
        assert ab.shape == (1, 2, *size)
        assert torch.isfinite(ab).all()


@torch.no_grad()
def test_state_does_not_grow_and_references_are_encoded_once(system: FlowChroma) -> None:
    calls = []
    system.matcher.embed.register_forward_hook(lambda *_: calls.append(1))
    state = system.start(lab(1, 1, 3, 64, 64))
    sizes = []
    for _ in range(5):
        _, state = system.step(100 * texture(1, 1, 64, 64), state)
        assert state.flow is not None
        sizes.append(sum(t.numel() for t in (state.flow.features, state.flow.keys, state.flow.values, state.ab)))
    assert len(calls) == 1 + 5
    assert sizes[1] == sizes[-1]


@torch.no_grad()
def test_first_frame_has_no_confidence_and_takes_the_matched_colour(system: FlowChroma) -> None:
    luma = 100 * texture(1, 1, 48, 48)
    found = system.estimate(luma, system.start(lab(1, 1, 3, 48, 48)))
    assert found.flow is None
    assert found.propagation.confidence.max() == 0
    plain = FlowChroma(system.flow, system.matcher, UNetFusion(8, 2))
    torch.testing.assert_close(plain.fusion(found), found.match.ab)


@torch.no_grad()
def test_known_colour_is_what_is_carried_on(system: FlowChroma) -> None:
    frame = lab(1, 3, 48, 48)
    state = system.observe(frame[:, :1], frame[:, 1:], system.start(lab(1, 1, 3, 48, 48)))
    found = system.estimate(frame[:, :1], state)
    assert found.flow is not None
    warped = backward_warp(frame[:, 1:], found.flow.colour_flow)
    moved = (warped - frame[:, 1:]).abs().mean()
    assert moved > 0.3
    assert (found.propagation.ab - warped).abs().mean() < 0.3 * moved  # carried, it is a little sharper
    assert found.propagation.confidence.max() > 0


def test_nothing_is_carried_from_outside_the_frame() -> None:
    flow = torch.zeros(1, 2, 8, 8)
    flow[0, 0, :, :3] = -3
    one = torch.ones(1, 1, 8, 8)
    carried = propagate(torch.rand(1, 2, 8, 8), one, Flow(flow, one), torch.rand(1, 1, 8, 8), ErrorModel())
    assert carried.confidence[0, 0, :, :3].max() == 0
    assert carried.confidence[0, 0, :, 3:].min() > 0.95


@torch.no_grad()
def test_matching_finds_each_thing_in_the_reference_that_shows_it(build) -> None:
    matcher = build("swintexco_small")
    left, right = lab(1, 1, 3, 64, 64), lab(1, 1, 3, 64, 64)
    both = matcher.encode_references(torch.cat([left, right], dim=1))
    for frame, other in ((left, right), (right, left)):
        target = torch.nn.functional.avg_pool2d(frame[:, 0, 1:], 8)

        def error(memory, frame=frame, target=target) -> float:
            found = matcher(frame[:, 0, :1], memory).ab
            return float((torch.nn.functional.avg_pool2d(found, 8) - target).abs().mean())

        assert error(both) < 0.6 * error(matcher.encode_references(other))


@torch.no_grad()
def test_each_pixel_says_which_reference_it_used(build) -> None:
    matcher = build("swintexco_small")
    left, right = lab(1, 1, 3, 64, 64), lab(1, 1, 3, 64, 64)
    both = matcher.encode_references(torch.cat([left, right], dim=1))
    for number, frame in enumerate((left, right)):
        found = matcher(frame[:, 0, :1], both)
        assert (found.source == number).float().mean() > 0.95
        assert found.difference.mean() < 2  # of L, which is 4 x 4 means


@torch.no_grad()
def test_the_best_components_are_projected_on(build) -> None:
    embed = build("swintexco_small").embed
    frames = [100 * texture(1, 1, 64, 64) for _ in range(2)]
    embed.fit(frames)
    for name, level in embed.levels.items():
        weight = level.weight[..., 0, 0]
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-4, rtol=0)
        flat = torch.cat([embed._features(frame)[name].flatten(2)[0] for frame in frames], dim=1)
        values = torch.linalg.svdvals(flat)[: len(weight)]
        torch.testing.assert_close((weight @ flat).square().sum(), values.square().sum(), rtol=1e-3, atol=0)


def test_errors_add_up_along_the_flow_as_independent_ones_do() -> None:
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = -2
    there, step = 5 * torch.rand(1, 1, 8, 8) + 1, 5 * torch.rand(1, 1, 8, 8)
    sure = torch.exp(-(step + 0.5) / 10)  # half a unit is what grain costs a right flow
    carried = propagate(
        torch.rand(1, 2, 8, 8), torch.exp(-there / 10), Flow(flow, sure), torch.rand(1, 1, 8, 8), ErrorModel()
    )
    found = ErrorModel().error_of(carried.confidence)[..., 2:]
    torch.testing.assert_close(found, torch.hypot(there[..., :-2], step[..., 2:]))


@torch.no_grad()
def test_coloured_frames_are_kept_within_a_bound_and_only_for_a_fusion_that_reads_them(build) -> None:
    networks = build("memflow_small", "model.cut=null"), build("swintexco_small")
    system = FlowChroma(*networks, BlendFusion(8, 1), recent=2, every=2).eval()
    first = lab(1, 3, 64, 64)
    state = system.observe(first[:, :1], first[:, 1:], system.start(first[:, None]))
    kept, seen = [], []
    for _ in range(8):
        luma = 100 * texture(1, 1, 64, 64)
        seen.append(system.estimate(luma, state).recent)
        _, state = system.step(luma, state)
        kept.append(len(state.recent))
    assert kept == [0, 1, 1, 2, 2, 2, 2, 2]  # frames 2, 4, 6, ... of the film
    assert [match is not None for match in seen] == [False, False, *[True] * 6]
    assert len(FlowChroma(*networks, UNetFusion(8, 1)).observe(first[:, :1], first[:, 1:], state).recent) == 2
    plain = FlowChroma(*networks, UNetFusion(8, 1), every=1)
    state = plain.start(first[:, None])
    for _ in range(3):
        _, state = plain.step(first[:, :1], state)
    assert state.recent == ()


@torch.no_grad()
def test_what_came_into_view_is_found_among_coloured_frames(build) -> None:
    """The reference shows one picture; another, coloured once, is found again by what was kept."""
    system = FlowChroma(build("memflow_small"), build("swintexco_small"), BlendFusion(8, 1), every=1).eval()
    reference, other = lab(1, 3, 64, 64), lab(1, 3, 64, 64)
    state = system.observe(reference[:, :1], reference[:, 1:], system.start(reference[:, None]))
    state = system.observe(other[:, :1], other[:, 1:], state)
    found = system.estimate(other[:, :1], state)
    errors = [(match.ab - other[:, 1:]).abs().mean() for match in (found.match, found.recent)]
    assert errors[1] < 0.6 * errors[0]


@torch.no_grad()
def test_pixels_vote_for_a_fusion_that_reads_their_votes(system: FlowChroma) -> None:
    reference, luma = lab(1, 1, 3, 32, 32), lab(1, 3, 32, 32)[:, :1]
    blend = FlowChroma(system.flow, system.matcher, BlendFusion(8, 2)).eval()
    plain = FlowChroma(system.flow, system.matcher, UNetFusion(8, 2)).eval()
    for colorizer, votes in ((plain, False), (blend, True)):
        state = colorizer.start(reference)
        assert (state.references.patches is not None) == votes
        assert (colorizer.estimate(luma, state).match.voted is not None) == votes
