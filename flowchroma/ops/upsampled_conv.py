"""Convolution of an enlarged image, without the enlarged image."""

import torch
from torch import Tensor
from torch.nn import functional as F


def upsampled_conv(image: Tensor, weight: Tensor, bias: Tensor | None, border: str = "constant") -> Tensor:
    """Enlarge twice by nearest neighbour, then convolve 3x3: in four ninths of the multiplications.

    Each output pixel sees two input pixels a side, one of them twice: its three taps a side are two sums of taps, one
    pair of sums for even places and one for odd.

    Args:
        image: (B, C, H, W).
        weight: (D, C, 3, 3).
        bias: (D,).
        border: what the enlarged image is padded with by one pixel: "constant" for zeros, or "reflect".

    Returns:
        (B, D, 2 H, 2 W).
    """
    # The enlarged image's second row, which reflection repeats, is the first row once more.
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate" if border == "reflect" else border)
    rows = torch.stack([_pair(weight, 2, even) for even in (True, False)])
    kernels = torch.stack([_pair(rows, 4, even) for even in (True, False)], dim=1)  # (2, 2, D, C, 2, 2)
    phases = F.conv2d(padded, kernels.flatten(0, 2), None if bias is None else bias.repeat(4))
    height, width = image.shape[-2:]
    phases = phases.unflatten(1, (2, 2, -1))
    cut = [[phases[:, i, j, :, i : i + height, j : j + width] for j in (0, 1)] for i in (0, 1)]
    lines = [torch.stack(pair, dim=-1).flatten(-2) for pair in cut]
    return torch.stack(lines, dim=-2).flatten(-3, -2)


def _pair(taps: Tensor, dim: int, even: bool) -> Tensor:
    """Three taps along `dim` as the two that fall on different pixels, for an even or an odd place."""
    first, second, third = taps.unbind(dim)
    return torch.stack((first, second + third) if even else (first + second, third), dim=dim)
