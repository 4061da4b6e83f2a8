import numpy as np
import pytest
import torch

from flowchroma.metrics import epe, psnr, psnr_ab


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
    image = torch.rand(2, 3, 4, 4)
    assert psnr(image, image, 1.0).tolist() == [float("inf")] * 2


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
