"""From the flow network's coarse grid to pixels."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def convex_upsample(flow: Tensor, weights: Tensor, factor: int = 8) -> Tensor:
    """Enlarge a flow; each fine pixel is a convex combination of its nine coarse neighbours (RAFT, section 3.3).

    Args:
        flow: (B, 2, h, w), in coarse pixels.
        weights: (B, 9, factor, factor, h, w), in [0, 1], summing to 1 over the nine.
        factor: enlargement.

    Returns:
        (B, 2, h * factor, w * factor), in fine pixels.
    """
    batch, _, height, width = flow.shape
    padded = F.pad(factor * flow, (1, 1, 1, 1))
    fine = flow.new_zeros(1, 1, 1, 1, 1, 1)
    for index in range(9):
        top, left = divmod(index, 3)
        neighbour = padded[..., top : top + height, left : left + width]
        fine = torch.addcmul(fine, neighbour[:, :, None, None], weights[:, None, index])
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, height * factor, width * factor)


def convex_upsample_2x(flow: Tensor, weights: Tensor) -> Tensor:
    """Enlarge a flow twice; each fine pixel is a convex combination of the four coarse ones that it lies between.

    Args:
        flow: (B, 2, h, w), in coarse pixels.
        weights: (B, 4, 2, 2, h, w), in [0, 1], summing to 1 over the four: upper left, upper right, lower left and
            lower right.

    Returns:
        (B, 2, 2 h, 2 w), in fine pixels; coarse pixels of the border are repeated.
    """
    height, width = flow.shape[-2:]
    padded = F.pad(2 * flow, (1, 1, 1, 1), mode="replicate")
    means = []
    for row, column in itertools.product(range(2), repeat=2):
        mean = torch.zeros_like(flow)
        for index in range(4):
            top, left = row + index // 2, column + index % 2
            neighbour = padded[..., top : top + height, left : left + width]
            mean = torch.addcmul(mean, neighbour, weights[:, index, row, column, None])
        means.append(mean)
    return interleave(means)


def unshuffle(image: Tensor) -> Tensor:
    """`F.pixel_unshuffle` by two, in a quarter of its time: (B, C, H, W), even sides, to (B, 4 C, H / 2, W / 2)."""
    if torch.compiler.is_exporting():  # ONNX reads no every other pixel
        return F.pixel_unshuffle(image, 2)
    parts = [image[..., row::2, column::2] for row, column in itertools.product(range(2), repeat=2)]
    return torch.stack(parts, dim=2).flatten(1, 2)


def interleave(parts: Sequence[Tensor]) -> Tensor:
    """Put four images together whose pixels are those of every square of two by two.

    Args:
        parts: each (B, C, h, w): upper left, upper right, lower left and lower right pixels.

    Returns:
        (B, C, 2 h, 2 w).
    """
    if torch.compiler.is_exporting():  # ONNX writes no every other pixel
        return F.pixel_shuffle(torch.stack(list(parts), dim=2).flatten(1, 2), 2)
    height, width = parts[0].shape[-2:]
    pixels = parts[0].new_empty(*parts[0].shape[:2], 2 * height, 2 * width)
    for part, (row, column) in zip(parts, itertools.product(range(2), repeat=2), strict=True):
        pixels[..., row::2, column::2] = part
    return pixels
