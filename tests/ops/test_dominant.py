"""The dominant motion: exact flows of moving planes, with other things in front of them."""

import pytest
import torch
from torch import Tensor

from flowchroma import ops


def texture(height: int, width: int, cell: int = 5) -> Tensor:
    coarse = torch.rand(1, 1, height // cell + 2, width // cell + 2)
    return 20 + 60 * torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def plane(height: int, width: int) -> Tensor:
    """A turn, a zoom, a tilt and a shift: up to 5 pixels."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return torch.stack([2.3 + 1.5 * x - 0.8 * y + 0.6 * x * x, -0.7 + 0.9 * x + 1.2 * y + 0.6 * x * y])[None]


@pytest.mark.parametrize("size", [(128, 160), (121, 91)])
def test_a_moving_plane_is_found_behind_an_object_and_a_change_of_light(size: tuple[int, int]) -> None:
    previous, flow = texture(*size), plane(*size)
    true = flow.clone()
    box = (slice(None), slice(None), slice(30, 80), slice(20, 70))
    true[box] = torch.tensor([-6.0, 4.0]).view(1, 2, 1, 1)
    luma = 0.85 * ops.backward_warp(previous, true) + 6
    error = (ops.dominant_motion(luma, previous) - flow).norm(dim=1)
    assert error.max() < 0.3
    assert error.mean() < 0.06


def test_every_item_of_a_batch_has_its_own_motion() -> None:
    previous = torch.cat([texture(96, 96), texture(96, 96)])
    shifts = torch.tensor([[3.0, -1.0], [0.0, 0.0]]).view(2, 2, 1, 1)
    luma = ops.backward_warp(previous, shifts.expand(-1, -1, 96, 96))
    found = ops.dominant_motion(luma, previous)
    alone = torch.cat([ops.dominant_motion(luma[i : i + 1], previous[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(found, alone, atol=1e-3, rtol=0)
    assert (found - shifts)[..., 8:-8, 8:-8].norm(dim=1).mean() < 0.1


def test_where_no_motion_explains_more_there_is_little() -> None:
    flat = torch.full((1, 1, 64, 64), 50.0)
    assert ops.dominant_motion(flat, flat + 1).abs().max() < 1e-3
    still = texture(64, 64)
    assert ops.dominant_motion(still, still).abs().max() < 1e-3


def test_frames_that_share_nothing_and_frames_of_a_few_pixels_give_a_finite_flow() -> None:
    for size in ((64, 96), (9, 200), (8, 8), (3, 5)):
        found = ops.dominant_motion(100 * torch.rand(1, 1, *size), 100 * torch.rand(1, 1, *size))
        assert found.shape == (1, 2, *size)
        assert torch.isfinite(found).all()


def test_it_stays_in_float32_under_autocast() -> None:
    frames = texture(48, 48).bfloat16(), texture(48, 48).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ops.dominant_motion(*frames).dtype == torch.float32


@pytest.mark.parametrize("size", [(128, 160), (288, 256)])  # which end at different scales
def test_the_form_for_graphs_is_the_same(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    luma = ops.window_mean(100 * torch.rand(2, 1, *size), 2)
    previous = luma.roll((1, 3), (2, 3))
    expected = ops.dominant_motion(luma, previous)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(ops.dominant_motion(luma, previous), expected, rtol=0, atol=2e-3)
