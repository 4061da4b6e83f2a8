"""Means over square windows."""

import torch
from torch import Tensor
from torch.nn import functional as F


def window_mean(image: Tensor, radius: int) -> Tensor:
    """Mean over a square window, the border repeated, by running sums: its cost does not grow with the window.

    Args:
        image: (B, C, H, W).
        radius: the window has 2 * radius + 1 pixels a side.

    Returns:
        The same shape.
    """
    size = 2 * radius + 1
    if torch.compiler.is_exporting():  # where few operations count
        padded = F.pad(image, (radius,) * 4, mode="replicate")
        return F.avg_pool2d(F.avg_pool2d(padded, (1, size), stride=1), (size, 1), stride=1)
    sums = F.pad(image, (radius + 1, radius, radius + 1, radius), mode="replicate").cumsum(-1)
    sums = (sums[..., size:] - sums[..., :-size]).cumsum(-2)
    return (sums[..., size:, :] - sums[..., :-size, :]) / size**2
