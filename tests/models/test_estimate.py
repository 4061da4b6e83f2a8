import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from flowchroma.models import ErrorModel
from flowchroma.models.estimate import Estimate, combine
from flowchroma.models.state import ColouredFrame, State

colours = st.floats(-110, 110, width=32)
errors = st.floats(0.25, 90, width=32)


def pixel(a: float, b: float, error: float) -> Estimate:
    return Estimate(torch.tensor([a, b]).view(1, 2, 1, 1), torch.tensor(error).view(1, 1, 1, 1))


estimates = st.builds(pixel, colours, colours, errors)


def values(estimate: Estimate) -> list[float]:
    return torch.cat([estimate.ab, estimate.error], dim=1).flatten().tolist()


def test_two_colours_are_weighed_by_the_inverse_squares_of_their_errors() -> None:
    # 1 / 9 and 1 / 36 of certainty: four fifths of the first, one of the second; 9 * 36 / 45 = 7.2.
    both = combine([pixel(10, 0, 3), pixel(20, -50, 6)])
    assert values(both) == pytest.approx([12, -10, 7.2**0.5], rel=1e-6)


@given(st.lists(estimates, min_size=1, max_size=5))
def test_a_combined_colour_lies_between_and_is_surer_than_each(found: list[Estimate]) -> None:
    both = combine(found)
    each = torch.cat([estimate.ab for estimate in found])
    assert (both.ab[0] >= each.amin(0) - 1e-3).all()
    assert (both.ab[0] <= each.amax(0) + 1e-3).all()
    least = min(float(estimate.error) for estimate in found)
    assert float(both.error) <= least * (1 + 1e-5)
    assert float(both.error) >= least / len(found) ** 0.5 * (1 - 1e-5)


@given(st.permutations([pixel(10, -3, 0.5), pixel(-60, 8, 4), pixel(100, 100, 70)]))
def test_neither_order_nor_grouping_matters(found: list[Estimate]) -> None:
    once = values(combine([pixel(10, -3, 0.5), pixel(-60, 8, 4), pixel(100, 100, 70)]))
    assert values(combine(found)) == pytest.approx(once, rel=1e-4, abs=1e-4)
    assert values(combine([combine(found[:2]), found[2]])) == pytest.approx(once, rel=1e-4, abs=1e-4)


def test_what_the_system_found_has_the_error_that_its_confidence_stands_for() -> None:
    def frame(confidence: Tensor) -> ColouredFrame:
        luma, ab = torch.full((1, 1, 1, 3), 50.0), torch.full((1, 2, 1, 3), 7.0, dtype=torch.bfloat16)
        return ColouredFrame(luma, ab, confidence, None, State(None))  # type: ignore[arg-type]

    estimate = Estimate.of(frame(torch.tensor([1.0, 0.3678794, 0.0]).view(1, 1, 1, 3)), ErrorModel())
    assert estimate.error.flatten().tolist() == pytest.approx([0.3, 10, 90], rel=1e-5)
    assert estimate.ab.dtype == torch.float32
