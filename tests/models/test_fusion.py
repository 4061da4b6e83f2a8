from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from flowchroma.models import (
    BlendFusion,
    ErrorModel,
    InverseVarianceFusion,
    PlaceholderFusion,
    SimpleFusion,
    UNetFusion,
)
from flowchroma.models.state import Signals
from flowchroma.types import Flow, Match, Propagation

from .test_networks import shake

error_model = ErrorModel()


def signals(height: int = 20, width: int = 24) -> Signals:
    def ab() -> Tensor:
        return 60 * torch.rand(2, 2, height, width) - 30

    def unit() -> Tensor:
        return torch.rand(2, 1, height, width)

    def match() -> Match:
        return Match(ab(), unit(), 30 * unit(), torch.zeros(2, 1, height, width, dtype=torch.int64))

    flow = Flow(torch.zeros(2, 2, height, width), unit())
    return Signals(100 * unit(), Propagation(ab(), unit()), match(), match(), flow, None)  # type: ignore[arg-type]


def uncarried(found: Signals, where: slice = slice(None)) -> Signals:
    """The same, with nothing carried in these columns."""
    confidence = found.propagation.confidence.clone()
    confidence[..., where] = 0
    return replace(found, propagation=replace(found.propagation, confidence=confidence))


def test_confidence_and_expected_error_say_the_same() -> None:
    error = torch.linspace(0.3, 80, 50)
    torch.testing.assert_close(error_model.error_of(error_model.confidence_of(error)), error)
    assert error_model.error_of(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([90, 0.3])


def test_a_colour_weighed_of_several_is_surer_than_each() -> None:
    found = signals()
    each = torch.stack(error_model.errors(found))
    together = each.square().reciprocal().sum(0).rsqrt()
    torch.testing.assert_close(
        error_model.error_of(error_model.fused_confidence(found)), together.clamp(min=0.3), atol=1e-4, rtol=1e-4
    )
    alone = error_model.errors(replace(found, recent=None))
    assert len(alone) == 2
    worse = replace(found.match, difference=found.match.difference + 5)
    assert (error_model.matched_error(worse) >= alone[1]).all()
    assert error_model.matched_error(worse).mean() > alone[1].mean() + 1


def test_placeholder_is_the_weighted_mean() -> None:
    found = signals()
    carried, match, luma = found.propagation, found.match, found.luma
    weight = carried.confidence / (carried.confidence + match.similarity)
    mean = weight * carried.ab + (1 - weight) * match.ab
    torch.testing.assert_close(PlaceholderFusion()(found), mean, atol=2e-2, rtol=1e-4)
    unlike = replace(found, match=replace(match, similarity=torch.zeros_like(luma)))
    torch.testing.assert_close(PlaceholderFusion()(unlike), carried.ab, atol=1, rtol=0.1)
    torch.testing.assert_close(PlaceholderFusion()(uncarried(unlike)), match.ab)


FUSIONS = {"simple": SimpleFusion(14), "unet": UNetFusion(8, 2), "blend": BlendFusion(8, 2)}


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
def test_trainable_fusion_is_built_once_and_learns_in_every_layer(fusion: nn.Module) -> None:
    shake(fusion)
    found = signals(19, 26)
    before = len(list(fusion.parameters()))
    first, second = fusion(found), fusion(found)
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    assert len(list(fusion.parameters())) == before
    first.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in fusion.parameters())


def test_unet_gives_the_matched_colour_where_nothing_was_carried() -> None:
    found = uncarried(signals(19, 23))
    torch.testing.assert_close(UNetFusion(8, 2)(found), found.match.ab)


def test_inverse_variance_weighs_by_the_inverse_square_of_expected_errors() -> None:
    found, fusion = signals(19, 23), InverseVarianceFusion()
    assert fusion.state_dict() == {}
    colours = torch.stack([found.propagation.ab, found.match.ab, found.recent.ab])
    weights = torch.stack([error**-2 for error in error_model.errors(found)])
    torch.testing.assert_close(fusion(found), (weights * colours).sum(0) / weights.sum(0))
    both = replace(found, recent=None)
    torch.testing.assert_close(fusion(both), (weights * colours)[:2].sum(0) / weights[:2].sum(0), atol=1e-3, rtol=0)
    sure = InverseVarianceFusion(ErrorModel(matched=0.01, per_similarity=0, per_luma=0, recent=40))
    torch.testing.assert_close(sure(both), found.match.ab, atol=0.1, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("recent", [True, False])
def test_blend_untrained_is_the_fusion_that_learns_nothing(recent: bool) -> None:
    found = uncarried(signals(19, 23), slice(5))
    found = found if recent else replace(found, recent=None, flow=None)
    model = ErrorModel(matched=1.0)
    assert torch.equal(BlendFusion(8, 2, model)(found), InverseVarianceFusion(model)(found))
    assert not torch.equal(InverseVarianceFusion(model)(found), InverseVarianceFusion()(found))


def test_blend_chooses_among_colours_and_makes_none_up() -> None:
    found = signals(19, 23)
    fusion = BlendFusion(8, 2)
    with torch.no_grad():  # weights at random, and the correction left at zero
        fusion.leave.weight[:12] = torch.randn_like(fusion.leave.weight[:12])
    ab = fusion(found)
    colours = torch.stack([found.propagation.ab, found.match.ab, found.recent.ab])
    assert (ab <= colours.amax(0) + 1e-3).all()
    assert (ab >= colours.amin(0) - 1e-3).all()
    assert (ab - BlendFusion(8, 2)(found)).abs().mean() > 0.1
    alone = uncarried(replace(found, recent=None, flow=None))
    torch.testing.assert_close(fusion(alone), found.match.ab)
