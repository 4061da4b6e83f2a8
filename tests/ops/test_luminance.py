"""Normal equations of motion: against least squares solved by numpy, and what it must not depend on."""

import numpy as np
import pytest
import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.ops import luminance


def texture(height: int, width: int, cell: int = 6) -> Tensor:
    coarse = torch.rand(1, 1, height // cell + 2, width // cell + 2)
    return 20 + 60 * torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def test_a_step_is_the_least_squares_solution_over_its_window() -> None:
    frame, warped = (luminance.normalised(texture(15, 17).double()) for _ in range(2))
    step, _ = luminance.solve(ops.window_mean(luminance.normal_equations(frame, warped), 2), damping=0.0)
    gx, gy = luminance.gradient((frame + warped) / 2)
    window = (0, 0, slice(5, 10), slice(6, 11))
    rows = np.stack([gx[window].flatten().numpy(), gy[window].flatten().numpy()], axis=1)
    expected, *_ = np.linalg.lstsq(rows, (frame - warped)[window].flatten().numpy(), rcond=None)
    np.testing.assert_allclose(step[0, :, 7, 8].numpy(), expected, rtol=1e-6)


def test_what_is_known_lies_between_half_the_smaller_eigenvalue_and_the_whole() -> None:
    frames = (luminance.normalised(texture(20, 20)) for _ in range(2))
    averaged = ops.window_mean(luminance.normal_equations(*frames), 3)
    _, known = luminance.solve(averaged, damping=0.0)
    xx, xy, yy = averaged[0, :3]
    matrices = torch.stack([torch.stack([xx, xy], -1), torch.stack([xy, yy], -1)], -1)
    smaller = torch.linalg.eigvalsh(matrices)[..., 0]
    assert (known[0, 0] <= smaller * (1 + 1e-3) + 1e-6).all()
    assert (known[0, 0] >= smaller / 2 * (1 - 1e-3) - 1e-6).all()


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 12.0), (0.6, 0.0), (1.2, -5.0)])
def test_normalised_luminance_knows_little_of_gain_and_offset(gain: float, offset: float) -> None:
    luma = texture(40, 40, cell=3)
    plain, changed = luminance.normalised(luma), luminance.normalised(gain * luma + offset)
    assert (plain - changed).abs().mean() < 0.12 * plain.abs().mean()


def test_a_pyramid_halves_again_and_again_and_each_time_once() -> None:
    luma = texture(43, 57)
    pyramid = luminance.Pyramid(luma)
    assert [tuple(pyramid.at(scale).shape[-2:]) for scale in (1, 2, 4, 8)] == [(43, 57), (21, 28), (10, 14), (5, 7)]
    torch.testing.assert_close(pyramid.at(4), luminance.halved(luminance.halved(luma)))
    torch.testing.assert_close(pyramid.normalised(4, 2), luminance.normalised(pyramid.at(4), 2))
    assert pyramid.at(4) is pyramid.at(4)
    assert pyramid.normalised(4) is pyramid.normalised(4)
    assert luminance.Pyramid.of(pyramid) is pyramid
    torch.testing.assert_close(pyramid.warped(4, torch.zeros(1, 2, 10, 14)), pyramid.normalised(4))


def test_a_gradient_is_exact_for_a_plane() -> None:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    gx, gy = luminance.gradient((3 * x - 2 * y)[None, None])
    torch.testing.assert_close(gx[..., 1:-1], torch.full((1, 1, 6, 5), 3.0))
    torch.testing.assert_close(gy[..., 1:-1, :], torch.full((1, 1, 4, 7), -2.0))
