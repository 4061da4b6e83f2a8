import numpy as np
import pytest
import torch

from flowchroma.metrics import colorfulness, psnr, psnr_ab, ssim


def images(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A target and a prediction, (2, 3, 40, 31) uint8."""
    rng = np.random.default_rng(0)
    if kind == "random":
        target = rng.integers(0, 256, (2, 3, 40, 31))
    elif kind == "bright":  # squares far larger than the variance
        target = np.full((2, 3, 40, 31), 250)
    else:
        target = np.broadcast_to(np.arange(31) * 8, (2, 3, 40, 31))
    noisy = target + rng.integers(-4, 5, target.shape)
    return target.astype(np.uint8), np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_psnr_equals_scikit_image(data_range):
    from skimage.metrics import peak_signal_noise_ratio

    rng = np.random.default_rng(0)
    target = rng.random((3, 3, 20, 31)) * data_range
    noisy = np.clip(target + rng.normal(0, [[[[0.01]]], [[[0.1]]], [[[0.3]]]]) * data_range, 0, data_range)
    if data_range == 255:
        target, noisy = target.astype(np.uint8), noisy.astype(np.uint8)
    got = psnr(torch.from_numpy(noisy), torch.from_numpy(target), data_range)
    expected = [
        peak_signal_noise_ratio(a.astype(float), b.astype(float), data_range=data_range)
        for a, b in zip(target, noisy, strict=True)
    ]
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


def test_8_bit_differences_do_not_wrap_around():
    dark, bright = torch.full((1, 3, 2, 2), 250, dtype=torch.uint8), torch.full((1, 3, 2, 2), 5, dtype=torch.uint8)
    assert psnr(dark, bright, 255).item() == psnr(bright, dark, 255).item() == pytest.approx(0.3475, abs=1e-4)


def test_equal_images():
    image = torch.rand(2, 3, 12, 12)
    assert psnr(image, image, 1.0).tolist() == [float("inf")] * 2
    assert ssim(image, image).tolist() == [1.0] * 2


@pytest.mark.parametrize(
    ("prediction", "target", "data_range", "message"),
    [
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5), 1.0, "shape"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4, dtype=torch.uint8), 1.0, "convert"),
        (torch.zeros(1, 1, dtype=torch.uint8), torch.zeros(1, 1, dtype=torch.uint8), 1.0, "255"),
    ],
)
def test_images_that_cannot_be_compared(prediction, target, data_range, message):
    with pytest.raises(ValueError, match=message):
        psnr(prediction, target, data_range)


def test_psnr_ab_by_hand():
    ab = torch.zeros(1, 2, 3, 3)
    assert psnr_ab(ab + 22, ab).item() == pytest.approx(20.0)
    assert psnr_ab(ab + 25.5, ab, data_range=255).item() == pytest.approx(20.0)


@pytest.mark.parametrize("kind", ["random", "bright", "ramp"])
def test_ssim_equals_scikit_image(kind):
    from skimage.metrics import structural_similarity

    target, noisy = images(kind)
    expected = [
        structural_similarity(
            a, b, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )
        for a, b in zip(noisy, target, strict=True)
    ]
    got = ssim(torch.from_numpy(noisy), torch.from_numpy(target))
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-7)
    unit = ssim(torch.from_numpy(noisy).float() / 255, torch.from_numpy(target).float() / 255)
    np.testing.assert_allclose(unit.numpy(), expected, atol=2e-7)


def test_ssim_needs_a_whole_window():
    assert ssim(torch.rand(1, 3, 11, 11), torch.rand(1, 3, 11, 11)).shape == (1,)
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(torch.rand(1, 3, 10, 40), torch.rand(1, 3, 10, 40))


def test_colorfulness_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 3, 9, 13)).astype(np.uint8)
    expected = []
    for red, green, blue in rgb.astype(float):
        rg, yb = red - green, 0.5 * (red + green) - blue
        sigma, mu = np.hypot(rg.std(), yb.std()), np.hypot(rg.mean(), yb.mean())
        expected.append(sigma + 0.3 * mu)
    np.testing.assert_allclose(colorfulness(torch.from_numpy(rgb)).numpy(), expected, rtol=1e-12)
    unit = torch.from_numpy(rgb).double() / 255
    np.testing.assert_allclose(colorfulness(unit).numpy(), expected, rtol=1e-9)


def test_colorfulness_keeps_signs():
    # Half red, half green: rg is +255 and -255. Without signs its deviation would be 0 and its mean 255.
    halves = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    halves[:, 0, 0] = halves[:, 1, 1] = 255
    assert colorfulness(halves).item() == pytest.approx(255 + 0.3 * 127.5)
    gray = torch.randint(0, 256, (1, 1, 5, 5), dtype=torch.uint8).expand(1, 3, 5, 5)
    assert colorfulness(gray).item() == 0
