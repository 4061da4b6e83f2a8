"""Measures of single frames, as pure functions."""

import torch
from torch import Tensor

AB_RANGE = 220.0  # ab in about [-110, 110]


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
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    if prediction.is_floating_point() != target.is_floating_point():
        raise ValueError(f"prediction is {prediction.dtype} and target {target.dtype}: convert one of them")
    if not prediction.is_floating_point() and data_range != 255:
        raise ValueError(f"8-bit images have a data range of 255, not {data_range:g}")
    error = (prediction.double() - target.double()).square().flatten(1).mean(dim=1)
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


def epe(flow: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean end-point error of each flow, |flow - target| in pixels.

    Args:
        flow: (B, 2, H, W), pixels.
        target: the same.
        mask: (B, 1, H, W), true or above 0 where the target is known; everywhere by default.

    Returns:
        (B,), float64; not a number where the mask is empty.

    Example:
        >>> epe(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))
        tensor([5.], dtype=torch.float64)
    """
    distance = torch.linalg.vector_norm(flow.double() - target.double(), dim=1, keepdim=True)
    known = torch.ones_like(distance, dtype=torch.bool) if mask is None else (mask > 0).expand_as(distance)
    total = torch.where(known, distance, 0.0).sum(dim=(1, 2, 3))
    return total / known.sum(dim=(1, 2, 3))
