import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from flowchroma.color import chroma_distance, into_gamut, lab_to_rgb, lab_to_rgb8, rgb_to_lab


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


def any_lab(luma: torch.Tensor) -> torch.Tensor:
    """Each L under chroma of every hue and of 0 to 170: (3, L, hue and chroma)."""
    hue, chroma = torch.meshgrid(torch.linspace(0, 6.28, 73), torch.linspace(0, 170, 18), indexing="ij")
    ab = torch.stack((chroma * hue.cos(), chroma * hue.sin())).flatten(1)
    return torch.cat((luma.view(1, -1, 1).expand(1, -1, ab.shape[1]), ab[:, None].expand(2, len(luma), -1)))


def test_eight_bit_colour_keeps_the_luminance_whatever_chroma_is_asked_for() -> None:
    lab = any_lab(torch.linspace(0, 100, 101))
    assert (rgb_to_lab(lab_to_rgb8(lab))[0] - lab[0]).abs().max() < 0.3
    black_and_white = lab_to_rgb8(any_lab(torch.tensor([0.0, 100.0])))
    assert black_and_white[:, 0].unique().tolist() == [0]
    assert black_and_white[:, 1].unique().tolist() == [255]


def test_the_gamut_is_reached_along_the_hue_and_no_further_than_it_must_be() -> None:
    lab = any_lab(torch.linspace(1, 99, 15)).double()
    inside = into_gamut(lab)
    assert torch.equal(inside[0], lab[0])
    share = inside[1:].norm(dim=0) / lab[1:].norm(dim=0).clamp(min=1e-9)
    torch.testing.assert_close(inside[1:], share * lab[1:])  # hue stays
    # A reference: scikit-image clips, and says so by changing what it was given.
    shown = rgb2lab(lab2rgb(inside.movedim(0, -1).numpy()))
    assert np.abs(shown - inside.movedim(0, -1).numpy()).max() < 0.2
    further = torch.cat((inside[:1], inside[1:] + lab[1:] / lab[1:].norm(dim=0).clamp(min=1e-9)))
    changed = np.abs(rgb2lab(lab2rgb(further.movedim(0, -1).numpy())) - further.movedim(0, -1).numpy()).max(-1)
    reduced = (share < 0.99) & (lab[1:].norm(dim=0) > 0)
    assert (changed[reduced.numpy()] > 0.05).mean() > 0.98  # one unit of chroma more is cut off


def test_colours_that_srgb_has_stay_as_they_are() -> None:
    lab = rgb_to_lab(torch.rand(2, 3, 50, 50))
    assert torch.equal(into_gamut(lab), lab)
    assert torch.equal(into_gamut(lab[0, :, :0]), lab[0, :, :0])


def test_the_distance_of_two_colours_is_that_of_their_ab_and_can_be_learnt_from() -> None:
    ab, other = 40 * torch.randn(2, 2, 2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(chroma_distance(ab, other), (ab - other).norm(dim=1, keepdim=True))
    same = ab.clone().requires_grad_()
    chroma_distance(same, ab).sum().backward()
    assert torch.equal(same.grad, torch.zeros_like(ab))
