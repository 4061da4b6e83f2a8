"""Where carried colour comes from."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.models import ErrorModel, FlowChroma, InverseVarianceFusion, OriginFusion, SimpleFusion
from flowchroma.models.carried_origin import STRIDE, carry_origin, mixed_origin
from flowchroma.models.contracts import Fused
from flowchroma.models.state import CarriedOrigin, Known, Origin
from flowchroma.types import Flow

from .test_fusion import signals, uncarried
from .test_networks import shake


def smooth(ab: Tensor, share: float) -> Tensor:
    """With a share of the mean of 3 x 3 pixels, the border repeated."""
    around = F.pad(ab, (1, 1, 1, 1), mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1).mean((-2, -1))
    return torch.lerp(ab, around, share)


def within(colours: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The least and the most of colours in 3 x 3 pixels."""
    stack = torch.cat([*colours, *(-ab for ab in colours)], dim=1)
    most = F.max_pool2d(stack, 3, 1, padding=1).unflatten(1, (2, -1, 2)).amax(2)
    return -most[:, 1], most[:, 0]


def look(height: int, width: int, multiple: int = 16) -> Origin:
    """Of a frame that is padded to a multiple of so many pixels."""
    grid = [-(-side // multiple) * multiple // STRIDE for side in (height, width)]
    features = F.normalize(torch.randn(1, 6, *grid), dim=1)
    return Origin(100 * torch.rand(1, 1, height, width), features)


def moved(origin: Origin, pixels: int) -> tuple[Origin, Flow]:
    """All of it some pixels to the right, a multiple of the grid, and the flow back."""
    frame = Origin(origin.luma.roll(pixels, -1), origin.features.roll(pixels // STRIDE, -1))
    flow = torch.zeros(1, 2, *origin.luma.shape[-2:])
    flow[:, 0] = -pixels
    return frame, Flow(flow, torch.ones_like(origin.luma))


@pytest.mark.parametrize("size", [(32, 48), (27, 45)])
def test_what_moves_is_like_its_origin_wherever_the_frame_lies_on_the_grid(size: tuple[int, int]) -> None:
    before = look(*size)
    frame, flow = moved(before, 8)
    found = carry_origin(before, flow, frame, torch.ones_like(frame.luma, dtype=torch.bool), sharpness=0.0)
    inner = (..., slice(16, -12))
    torch.testing.assert_close(found.difference[inner], torch.zeros_like(found.difference[inner]), atol=1e-3, rtol=0)
    assert found.similarity[inner].min() > 0.999
    still = replace(flow, flow=torch.zeros_like(flow.flow))
    wrong = carry_origin(before, still, frame, torch.ones_like(frame.luma, dtype=torch.bool), sharpness=0.0)
    assert wrong.similarity.mean() < 0.5
    assert wrong.difference.abs().mean() > 10


def test_features_lie_where_the_frame_does_when_it_is_padded_in_its_middle() -> None:
    """27 rows are padded by 2 above: grid row 0 is of rows -2 to 1 of the frame."""
    luma = torch.zeros(1, 1, 27, 32)
    features = torch.zeros(1, 2, 8, 8)
    features[:, 0], features[:, 1, 4:] = 1, 1
    features = F.normalize(features, dim=1)
    other = Origin(luma, F.normalize(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8)))
    flow = Flow(torch.zeros(1, 2, 27, 32), torch.ones_like(luma))
    found = carry_origin(other, flow, Origin(luma, features), torch.ones_like(luma, dtype=torch.bool), 0.0)
    rows = found.similarity[0, 0, :, 16]
    middle = (1 + 0.5**0.5) / 2
    assert int((rows > middle).sum()) == 4 * 4 - 2


def test_a_frame_is_its_own_origin_where_nothing_was_carried() -> None:
    before, frame = look(32, 32), look(32, 32)
    for found in (
        carry_origin(None, None, frame, torch.zeros_like(frame.luma, dtype=torch.bool), 0.8),
        carry_origin(before, None, frame, torch.zeros_like(frame.luma, dtype=torch.bool), 0.8),
    ):
        assert found.origin is frame
        assert not found.difference.any()
        assert not found.similarity.any()
    flow = Flow(torch.zeros(1, 2, 32, 32), torch.ones_like(frame.luma))
    found = carry_origin(before, flow, frame, torch.zeros_like(frame.luma, dtype=torch.bool), 0.8)
    assert found.origin is not None
    torch.testing.assert_close(found.origin.luma, frame.luma)


def test_a_mixture_has_the_origin_of_its_larger_part() -> None:
    before, frame = look(32, 32), look(32, 32)
    found = CarriedOrigin(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32), before, frame)
    for share, whole in ((1.0, before), (0.0, frame)):
        mixed = mixed_origin(found, torch.full_like(frame.luma, share))
        assert mixed is not None
        torch.testing.assert_close(mixed.luma, whole.luma)
        torch.testing.assert_close(mixed.features, whole.features)
    half = mixed_origin(found, torch.full_like(frame.luma, 0.5))
    assert half is not None
    torch.testing.assert_close(half.luma, (before.luma + frame.luma) / 2)
    torch.testing.assert_close(half.features.norm(dim=1), torch.ones(1, 8, 8))
    assert mixed_origin(None, None) is None


def test_expected_error_of_what_was_carried_reads_its_path_and_its_origin() -> None:
    found, model = signals(), ErrorModel()
    path = model.error_of(found.propagation.confidence)
    torch.testing.assert_close(model.carried_error(found), path)
    seen = replace(found, origin=CarriedOrigin(torch.full_like(path, -5.0), torch.full_like(path, 0.5)))
    appearance = 3.0 + 4.0 * torch.log(torch.tensor(2.0)) + 0.6 * 5.0
    torch.testing.assert_close(model.carried_error(seen), path**0.3 * appearance**0.7)
    nothing = uncarried(seen)
    assert (model.carried_error(nothing) == model.most).all()


@torch.no_grad()
@pytest.mark.parametrize("recent", [True, False])
def test_untrained_fusions_weigh_by_expected_errors(recent: bool) -> None:
    found = uncarried(signals(19, 23), slice(5))
    found = found if recent else replace(found, recent=None, flow=None)
    seen = replace(found, origin=CarriedOrigin(10 * torch.randn(2, 1, 19, 23), torch.rand(2, 1, 19, 23)))
    rule = InverseVarianceFusion()
    blind = OriginFusion(8, 2, reads=["errors"]).fuse(found)
    torch.testing.assert_close(blind.ab, smooth(rule(found), 0.5), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(blind.confidence, rule.error_model.fused_confidence(found), atol=1e-4, rtol=1e-4)
    for fusion in (OriginFusion(8, 2), SimpleFusion(14)):
        fused = fusion.fuse(seen)
        torch.testing.assert_close(fused.ab, smooth(rule(seen), 0.5), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(fused.confidence, rule.error_model.fused_confidence(seen), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(rule(seen), rule(found), atol=0.1)


@torch.no_grad()
@pytest.mark.parametrize("fusion", [OriginFusion(8, 2), SimpleFusion(14)], ids=["origin", "simple"])
def test_what_is_carried_on_is_the_rules_whatever_a_fusion_has_learnt(fusion) -> None:
    found = signals(19, 23)
    seen = replace(found, origin=CarriedOrigin(10 * torch.randn(2, 1, 19, 23), torch.rand(2, 1, 19, 23)))
    shown = shake(fusion).fuse(seen)
    rule = InverseVarianceFusion()
    assert shown.propagated is not None
    assert shown.propagated.carried_share is not None
    torch.testing.assert_close(shown.propagated.ab, rule(found))
    torch.testing.assert_close(shown.propagated.confidence, rule.error_model.fused_confidence(found))
    carried, *others = (error.square().reciprocal() for error in rule.error_model.errors(found))
    torch.testing.assert_close(shown.propagated.carried_share, carried / (carried + sum(others)))
    assert (shown.ab - shown.propagated.ab).abs().mean() > 0.1


@torch.no_grad()
def test_fusions_choose_among_colours_and_make_none_up() -> None:
    found = signals(19, 23)
    seen = replace(found, origin=CarriedOrigin(10 * torch.randn(2, 1, 19, 23), torch.rand(2, 1, 19, 23)))
    low, high = within([seen.propagation.ab, seen.match.ab, seen.recent.ab])
    low_match, high_match = within([seen.match.ab])
    for fusion in (OriginFusion(8, 2), SimpleFusion(14)):
        before = fusion(seen)
        shake(fusion)
        ab = fusion(seen)
        assert (ab <= high + 1e-3).all()
        assert (ab >= low - 1e-3).all()
        assert (ab - before).abs().mean() > 0.01
        alone = fusion(uncarried(replace(seen, recent=None, flow=None)))
        assert (alone <= high_match + 1e-2).all()
        assert (alone >= low_match - 1e-2).all()


def test_signals_are_switched_by_name() -> None:
    sizes = [OriginFusion(8, 2, reads=reads).enter[1].in_channels // 4 for reads in ([], ["errors"], ["origin"])]  # type: ignore[operator]
    assert sizes == [14, 17, 16]
    assert OriginFusion(8, 2).reads_origin
    assert not OriginFusion(8, 2, reads=["errors", "distances"]).reads_origin
    with pytest.raises(ValueError, match="no nope, there is errors, distances, origin"):
        OriginFusion(reads=["nope"])


class CarriesAll(OriginFusion):
    """Takes the carried colour alone."""

    def fuse(self, signals) -> Fused:
        fused = super().fuse(signals)
        return Fused(signals.propagation.ab, torch.ones_like(fused.confidence), torch.ones_like(fused.confidence))


@torch.inference_mode()
def test_over_a_film_the_origin_stays_that_of_the_keyframe(build) -> None:
    """A still picture that grows lighter by 2 a frame: carried colour comes from the keyframe, and is told so."""
    system = FlowChroma(build("memflow_small"), build("swintexco_small"), CarriesAll(8, 2))
    picture = F.interpolate(torch.rand(1, 1, 8, 10), (64, 80), mode="bicubic").clamp(0, 1) * 60 + 10
    ab = torch.zeros(1, 2, 64, 80)
    lab = torch.cat([picture, ab], dim=1)
    state = system.start(lab[:, None])
    state = system.advance(picture, state, Known(ab)).state
    for number in range(1, 4):
        frame = system.advance(picture + 2 * number, state)
        state = frame.state
        assert frame.signals is not None
        assert frame.signals.origin is not None
        assert abs(float(frame.signals.origin.difference.median()) + 2 * number) < 0.5
        assert float(frame.signals.origin.similarity.median()) > 0.9
    state = system.advance(picture + 10, state, Known(ab)).state
    after = system.advance(picture + 10, state).signals
    assert after is not None
    assert after.origin is not None
    assert abs(float(after.origin.difference.median())) < 0.5


@torch.inference_mode()
def test_a_batch_may_hold_films_whose_colour_is_given_and_others(build) -> None:
    system = FlowChroma(build("memflow_small"), build("swintexco_small"), OriginFusion(8, 2))
    lumas = 100 * torch.rand(2, 1, 32, 48)
    state = system.start(torch.cat([lumas, torch.zeros(2, 2, 32, 48)], dim=1)[:, None])
    given = Known(torch.zeros(2, 2, 32, 48), torch.tensor([True, False]))
    first = system.advance(lumas, state, given).state
    darker = system.advance(lumas - 3, first, given).state
    assert darker.origin is not None
    torch.testing.assert_close(darker.origin.luma[0], lumas[0] - 3)
