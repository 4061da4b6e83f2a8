import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.ops import forward_backward_error, match_exposure, motion_boundary, occlusion, visible


def constant(x: float, y: float, height: int = 9, width: int = 11) -> torch.Tensor:
    return torch.tensor([x, y], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, height, width).clone()


@settings(max_examples=30, deadline=None)
@given(st.floats(-4, 4), st.floats(-4, 4))
def test_opposite_shifts_are_visible_wherever_they_stay_inside(x, y):
    hidden = occlusion(constant(x, y), constant(-x, -y))
    rows, columns = torch.arange(9.0)[:, None] + y, torch.arange(11.0) + x
    leaves = (rows < 0) | (rows > 8) | (columns < 0) | (columns > 10)
    assert hidden.dtype == torch.bool
    assert torch.equal(hidden[0, 0], leaves)
    assert not motion_boundary(constant(x, y)).any()


@pytest.mark.parametrize(("back", "hidden"), [(0.7, False), (0.72, True), (3.0, True)])
def test_bound_of_a_still_pixel(back, hidden):
    # Of flow 0 the bound is 0.01 back^2 + 0.5, which is crossed at back = sqrt(0.5 / 0.99) = 0.7107.
    error, bound = forward_backward_error(constant(0, 0), constant(back, 0))
    assert error[0, 0, 4, 4].item() == pytest.approx(back**2)
    assert bound[0, 0, 4, 4].item() == pytest.approx(0.01 * back**2 + 0.5)
    assert occlusion(constant(0, 0), constant(back, 0)).all().item() is hidden


def test_back_is_read_where_flow_points():
    flow = constant(2, 1)
    back = constant(0, 0)
    back[0, :, 5, 6] = torch.tensor([-2.0, -1.0])
    error, bound = forward_backward_error(flow, back)
    assert error[0, 0, 4, 4].item() == pytest.approx(0, abs=1e-6)
    assert error[0, 0, 5, 6].item() == pytest.approx(5)
    assert bound[0, 0, 5, 6].item() == pytest.approx(0.55)
    seen = ~occlusion(flow, back)
    assert seen.nonzero().tolist() == [[0, 0, 4, 4]]


def test_what_is_not_a_number_is_not_visible():
    flow = constant(0, 0)
    flow[..., 3, 3] = float("nan")
    assert occlusion(flow, constant(0, 0)).nonzero().tolist() == [[0, 0, 3, 3]]


def test_motion_boundary_equals_a_loop():
    flow = torch.randn(2, 2, 6, 7).round(decimals=1) * 0.5
    expected = np.zeros((2, 1, 6, 7), bool)
    for b, y, x in np.ndindex(2, 6, 7):
        here = flow[b, :, y, x]
        right = flow[b, :, y, x + 1] - here if x < 6 else torch.zeros(2)
        below = flow[b, :, y + 1, x] - here if y < 5 else torch.zeros(2)
        squares = right.square().sum() + below.square().sum()
        expected[b, 0, y, x] = squares > 0.01 * here.square().sum() + 0.002
    assert 0 < expected.mean() < 1
    assert np.array_equal(motion_boundary(flow).numpy(), expected)


def test_visible_is_neither():
    flow = constant(1, 0)
    flow[..., 6:] = 3  # tears between the columns 5 and 6; the last 3 columns leave the frame
    back = -flow.roll(3, -1)
    seen = visible(flow, back)
    torn = motion_boundary(flow)
    assert torn[0, 0, :, 5].all()
    assert torn.sum() == 9
    assert torch.equal(seen, ~(occlusion(flow, back) | torn))


def test_a_disc_uncovers_ground_behind_it():
    """A disc moves 5 pixels right over still ground: what it uncovers is seen in no frame after."""
    yy, xx = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")

    def disc(centre):
        return (yy - 20) ** 2 + (xx - centre) ** 2 < 100

    # From frame t (disc at 30) back to t - 1 (disc at 25), and the opposite.
    flow = torch.where(disc(30), -5.0, 0.0) * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    back = torch.where(disc(25), 5.0, 0.0) * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    uncovered = disc(25) & ~disc(30)
    assert torch.equal(occlusion(flow, back)[0, 0], uncovered)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (1.3, -7.0), (0.7, 12.0)])
def test_light_is_taken_out_and_uncovered_ground_is_not(gain: float, offset: float) -> None:
    warped = 20 + 40 * torch.rand(2, 1, 30, 40)
    luma = gain * warped + offset
    uncovered = torch.zeros_like(luma, dtype=torch.bool)
    uncovered[..., :6, :8] = True
    luma = torch.where(uncovered, luma + 30, luma)
    left = (luma - match_exposure(warped, luma)).abs()
    assert left[~uncovered].mean() < 0.6, "least squares without weights leaves more than 1"
    assert left[uncovered].min() > 25


def test_a_flat_frame_has_no_gain_to_fit() -> None:
    flat = torch.full((1, 1, 8, 8), 40.0)
    torch.testing.assert_close(match_exposure(flat, flat + 5), flat + 5)
