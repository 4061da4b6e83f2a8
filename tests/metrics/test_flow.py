import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.metrics import ause, epe


def test_epe_by_hand_and_masked():
    flow, target = torch.zeros(2, 2, 2, 2), torch.zeros(2, 2, 2, 2)
    flow[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    flow[1] = 1.0
    assert epe(flow, target).tolist() == pytest.approx([1.25, 2**0.5])
    mask = torch.zeros(2, 1, 2, 2)
    mask[0, 0, 0] = 1
    target[0, :, 1, 1] = float("nan")  # unknown, and masked
    got = epe(flow, target, mask)
    assert got[0].item() == pytest.approx(2.5)
    assert torch.isnan(got[1])


def test_ause_of_the_worst_ranking_by_hand():
    # One pixel of 100 has all the error: the oracle's curve is 1, 0, 0, ...; the worst ranking's is 1 / (1 - removed).
    error = torch.zeros(1, 1, 10, 10)
    error[0, 0, 3, 3] = 5.0
    removed = torch.arange(50, dtype=torch.float64) / 50
    curve = 1 / (1 - removed)
    curve[0] = 0  # nothing removed: both curves start at 1
    assert ause(error, error).item() == pytest.approx(torch.trapezoid(curve, removed).item())
    assert ause(error, -error).item() == 0


def test_equal_confidences_are_removed_in_the_order_of_rows():
    error = torch.arange(100.0).view(1, 1, 10, 10)
    flat = torch.zeros_like(error)
    assert ause(error, flat).item() == pytest.approx(ause(error, error).item())
    assert ause(error.flip(2, 3), flat).item() == pytest.approx(0)


def test_ause_is_for_each_image_and_its_mask():
    error, confidence = torch.rand(3, 1, 9, 7), torch.rand(3, 1, 9, 7)
    mask = torch.rand(3, 1, 9, 7) > 0.3
    mask[2] = False
    got = ause(error, confidence, mask)
    for i in range(2):
        known = mask[i, 0]
        alone = ause(error[i, 0][known].view(1, 1, 1, -1), confidence[i, 0][known].view(1, 1, 1, -1))
        assert got[i].item() == pytest.approx(alone.item())
    assert torch.isnan(got[2])
    assert ause(torch.zeros(1, 1, 4, 4), torch.rand(1, 1, 4, 4)).item() == 0
    assert ause(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1)).item() == pytest.approx(0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_no_ranking_beats_the_oracle_and_only_ranks_matter(seed, side):
    generator = torch.Generator().manual_seed(seed)
    error = torch.rand(1, 1, 3, side, generator=generator)
    confidence = torch.rand(1, 1, 3, side, generator=generator)
    figure = ause(error, confidence)
    assert figure.item() >= -1e-12
    torch.testing.assert_close(ause(7 * error, confidence.exp()), figure)
