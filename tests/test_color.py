import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from flowchroma.color import lab_to_rgb, lab_to_rgb8, rgb_to_lab


def image(kind: str) -> np.ndarray:
    random = np.random.default_rng(0).random((37, 41, 3)).astype(np.float32)
    if kind == "gray":
        return np.repeat(random[..., :1], 3, axis=2)
    if kind == "corners":
        return np.array(np.meshgrid([0, 1], [0, 1], [0, 1]), np.float32).reshape(3, 2, 4).transpose(1, 2, 0).copy()
    return random


def planar(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).movedim(-1, 0)


@pytest.mark.parametrize("kind", ["random", "gray", "corners"])
def test_agrees_with_scikit_image_both_ways(kind: str) -> None:
    rgb = image(kind)
    lab = rgb_to_lab(planar(rgb))
    expected = rgb2lab(rgb.astype(np.float64))
    assert np.abs(lab.movedim(0, -1).numpy() - expected).max() < 1e-3
    back = lab_to_rgb(planar(expected.astype(np.float32)))
    assert np.abs(back.movedim(0, -1).numpy() - lab2rgb(expected)).max() < 1e-3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=3, max_size=3))
def test_eight_bit_colours_survive_the_way_there_and_back(rgb: list[int]) -> None:
    pixel = torch.tensor(rgb, dtype=torch.uint8).view(3, 1, 1)
    assert torch.equal(lab_to_rgb8(rgb_to_lab(pixel)), pixel)


def test_stays_in_float32_under_autocast() -> None:
    rgb = torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lab = rgb_to_lab(rgb)
        back = lab_to_rgb(lab)
    assert lab.dtype == back.dtype == torch.float32
    torch.testing.assert_close(back, rgb, atol=1e-4, rtol=0)


def test_colours_outside_srgb_are_clipped_and_keep_finite_gradients() -> None:
    lab = torch.tensor([[50.0, 110, -110], [0, 0, 0], [100, 50, 50]]).T[None, :, :, None].requires_grad_()
    rgb = lab_to_rgb(lab)
    rgb.sum().backward()
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert lab.grad is not None
    assert torch.isfinite(lab.grad).all()
