"""The fusion of both sides of a frame."""

import math

import torch

from flowchroma.models import BidirectionalFusion, ErrorModel
from flowchroma.models.estimate import Estimate, combine
from flowchroma.models.fusion.bidirectional import TwoSided
from flowchroma.types import Match

from .test_origin import smooth, within


def found(height: int = 33, width: int = 47) -> TwoSided:
    """A frame with colours that are random, and a match as good as none."""
    torch.manual_seed(0)
    first, second, third = (30 * torch.randn(2, 2, height, width) for _ in range(3))
    errors = [1 + 9 * torch.rand(2, 1, height, width) for _ in range(2)]
    nothing = torch.full((2, 1, height, width), 0.01)
    match = Match(third, nothing, 100 * torch.ones_like(nothing), torch.zeros_like(nothing).long())
    luma = 100 * torch.rand(2, 1, height, width)
    return TwoSided(luma, Estimate(first, errors[0]), Estimate(second, errors[1]), match, torch.tensor([0.2, 0.7]))


@torch.no_grad()
def test_untrained_it_weighs_by_expected_errors() -> None:
    frame = found()
    fused, expected = BidirectionalFusion().eval()(frame), combine([frame.forward, frame.backward])
    weight = torch.exp(torch.tensor(-2.0)) / ErrorModel().matched_error(frame.match).square()
    share = weight * expected.error.square()
    mixture = (expected.ab + share * frame.match.ab) / (1 + share)
    torch.testing.assert_close(fused.ab, smooth(mixture, 1 / (1 + math.e)), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(fused.error, expected.error)


@torch.no_grad()
def test_it_stays_within_the_colours_found_whatever_it_has_learnt() -> None:
    network = BidirectionalFusion(width=8, depth=2).eval()
    for parameter in network.parameters():
        parameter.normal_(0, 0.3)
    frame = found()
    fused = network(frame)
    low, high = within([frame.forward.ab, frame.backward.ab, frame.match.ab])
    assert fused.ab.shape == frame.forward.ab.shape
    assert (fused.ab <= high + 1e-3).all()
    assert (fused.ab >= low - 1e-3).all()
    assert (fused.error > 0).all()
    assert fused.error.isfinite().all()
