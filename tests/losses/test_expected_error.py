from dataclasses import replace

import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.losses import ColorDistance, ExpectedError, Prediction, RelativeError


@pytest.fixture
def off() -> Prediction:
    """Two frames, 5 and 10 CIELAB units off, that were 2 and 10 off before."""
    target = 10 * torch.randn(2, 2, 8, 8)
    away = torch.tensor([3.0, 4]).view(1, 2, 1, 1) / 5
    own, start = (torch.tensor(values).view(2, 1, 1, 1) for values in ([5.0, 10], [2.0, 10]))
    return Prediction(target + own * away, torch.rand(2, 1, 8, 8), target, start_ab=target + start * away)


def test_distance_is_in_units_of_colour(off) -> None:
    assert ColorDistance()(off).item() == pytest.approx(7.5, rel=1e-5)


def test_errors_are_relative_to_what_was_there_before(off) -> None:
    wanted = (5 / 5**0.5 + 10 / 101**0.5) / 2
    assert RelativeError()(off).item() == pytest.approx(wanted, rel=1e-5)


def test_the_expected_error_that_costs_least_is_the_true_one(off) -> None:
    truth = torch.tensor([5.0, 10]).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    costs = [ExpectedError()(replace(off, expected=factor * truth)).item() for factor in (0.9, 1.0, 1.1)]
    assert min(costs) == costs[1]
    ab, expected = off.ab.clone().requires_grad_(), truth.clone().requires_grad_()
    ExpectedError()(replace(off, ab=ab, expected=expected)).backward()
    assert ab.grad is None
    torch.testing.assert_close(expected.grad, torch.zeros_like(truth), atol=1e-6, rtol=0)
    assert ExpectedError()(replace(off, expected=0 * truth)).isfinite()


@pytest.mark.parametrize("term", [RelativeError(), ExpectedError()])
def test_another_stage_is_refused(off, term) -> None:
    with pytest.raises(UserError, match="choose a loss of this stage"):
        term(replace(off, start_ab=None))
