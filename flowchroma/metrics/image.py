"""Measures of single images, one figure an image."""

import math

import torch
from torch import Tensor

AB_RANGE = 220.0  # ab in about [-110, 110]
_RADIUS = 5  # of SSIM's Gaussian window: 3.5 times its sigma of 1.5, as in scikit-image
SSIM_MIN_SIDE = 2 * _RADIUS + 1  # side of an image that SSIM's window fits into
_GAUSSIAN = [math.exp(-0.5 * (offset / 1.5) ** 2) for offset in range(-_RADIUS, _RADIUS + 1)]
_WINDOW = [value / sum(_GAUSSIAN) for value in _GAUSSIAN]


def psnr(prediction: Tensor, target: Tensor, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio of each image, 10 log10(data_range^2 / MSE), over all its channels and pixels.

    Args:
        prediction: (B, ...), floating or uint8.
        target: the same shape.
        data_range: 255 for 8-bit values, 1 for values in [0, 1].

    Returns:
        (B,), dB, float64; infinite where an image equals its target.

    Raises:
        ValueError: shapes differ, one side is 8-bit and the other not, or the range does not fit 8-bit values.

    Example:
        >>> psnr(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.1, dtype=torch.float64), data_range=1.0)
        tensor([20.], dtype=torch.float64)
    """
    _check_pair(prediction, target)
    if not prediction.is_floating_point() and data_range != 255:
        raise ValueError(f"8-bit images have a data range of 255, not {data_range:g}")
    # Squares of 8-bit differences are exact in float32.
    kind = torch.float64 if prediction.is_floating_point() else torch.float32
    error = (prediction.to(kind) - target.to(kind)).square().flatten(1).mean(dim=1, dtype=torch.float64)
    return 10 * torch.log10(data_range**2 / error)


def psnr_ab(prediction: Tensor, target: Tensor, data_range: float = AB_RANGE) -> Tensor:
    """PSNR of chrominance alone.

    Args:
        prediction: (B, 2, H, W), CIELAB units.
        target: the same.
        data_range: the peak; published figures differ in it.

    Returns:
        (B,), dB, float64.
    """
    return psnr(prediction.float(), target.float(), data_range)


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each image (Wang et al. 2004), mean over channels and pixels.

    A Gaussian window of sigma 1.5 and 11 x 11 pixels, K1 = 0.01, K2 = 0.03, population covariance, and no figure for
    the 5 border pixels: scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False`.

    Args:
        prediction: (B, C, H, W), uint8, or floating in [0, 1]; at least 11 x 11 pixels.
        target: the same shape.

    Returns:
        (B,), float64, 1 where an image equals its target.

    Raises:
        ValueError: shapes differ, one side is 8-bit and the other not, or an image is smaller than the window.

    Example:
        >>> ssim(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))
        tensor([1.], dtype=torch.float64)
    """
    _check_pair(prediction, target)
    if min(prediction.shape[-2:]) < SSIM_MIN_SIDE:
        raise ValueError(f"SSIM needs 11 x 11 pixels at least, not {tuple(prediction.shape[-2:])}")
    # A plane at a time: what is computed on the way then stays in the processor's cache.
    planes = zip(_values(prediction).flatten(0, 1), _values(target).flatten(0, 1), strict=True)
    figures = torch.stack([_plane_ssim(x, y) for x, y in planes])
    return figures.view(prediction.shape[:2]).mean(dim=1)


def _plane_ssim(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of two planes (H, W) in [0, 255]: scalar, float64."""
    # Squares of uncentred values would leave float32 too few digits for a variance.
    centre = y.mean()
    x, y = x - centre, y - centre
    # Only the sum of the variances is needed, so four blurred planes do.
    mean_x, mean_y, squares, product = (_blur(plane) for plane in (x, y, x * x + y * y, x * y))
    cross, power = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    offset = centre * (mean_x + mean_y + centre)  # what centring took from the means' product
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * (cross + offset) + c1) / (power + 2 * offset + c1)
    structure = (2 * (product - cross) + c2) / (squares - power + c2)
    return (luminance * structure).mean(dtype=torch.float64)


def colorfulness(image: Tensor) -> Tensor:
    """Colourfulness of each image (Hasler and Suesstrunk 2003, section 7), 0 for gray.

    sigma + 0.3 mu of rg = R - G and yb = (R + G) / 2 - B, both signed.

    Args:
        image: (B, 3, H, W), sRGB, uint8, or floating in [0, 1].

    Returns:
        (B,), float64, in the units of 8-bit values.

    Example:
        >>> colorfulness(torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2))
        tensor([85.5296], dtype=torch.float64)
    """
    red, green, blue = _values(image).unbind(1)
    opponents = torch.stack((red - green, (red + green) / 2 - blue), dim=1).flatten(2)
    variance, mean = torch.var_mean(opponents.double(), dim=-1, correction=0)
    return variance.sum(dim=1).sqrt() + 0.3 * torch.linalg.vector_norm(mean, dim=1)


def _check_pair(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    if prediction.is_floating_point() != target.is_floating_point():
        raise ValueError(f"prediction is {prediction.dtype} and target {target.dtype}: convert one of them")


def _values(image: Tensor) -> Tensor:
    """Values in [0, 255], floating; contiguous, as images that were read with their channels last are slow."""
    image = image.contiguous()
    return image * 255 if image.is_floating_point() else image.float()


def _blur(plane: Tensor) -> Tensor:
    """Blur (H, W) with SSIM's window, where it fits whole: (H - 10, W - 10)."""
    for dim in (0, 1):
        inner = plane.shape[dim] - 2 * _RADIUS
        # Sums of shifted planes: on a processor faster than a convolution of one channel.
        blurred = plane.narrow(dim, _RADIUS, inner) * _WINDOW[_RADIUS]
        for shift in (*range(_RADIUS), *range(_RADIUS + 1, 2 * _RADIUS + 1)):
            blurred.add_(plane.narrow(dim, shift, inner), alpha=_WINDOW[shift])
        plane = blurred
    return plane
