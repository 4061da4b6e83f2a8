"""Colour read pixel by pixel where matching is coarse: matches of the cells around a pixel vote on where it comes from.

As in PatchMatch-based synthesis (Barnes et al., SIGGRAPH 2009), every match stands for the displacement of a patch, and
overlapping patches vote; here each vote counts as far as the luminance around the pixel agrees.
"""

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops.selection import take_rows

_PATIENCE = 40.0  # a vote's logarithm never falls lower, so that some vote always counts
_CHUNK = {"cpu": 512}  # cells whose patches are compared at a time: a CPU works fastest from its caches
_CHUNK_ELSEWHERE = 8192


def extract_patches(image: Tensor, stride: int) -> Tensor:
    """Square patches of twice the stride around each of a grid's cells.

    Args:
        image: (B, C, H, W), sides multiples of `stride`.
        stride: of the grid, even.

    Returns:
        (B, C * 4 * stride^2, H / stride, W / stride), channels last in memory. A patch's pixels are in the order
        (upper or lower half, left or right half, row, column), so that quarters are together; beyond the border, the
        border is repeated.
    """
    padded = F.pad(image, (stride // 2,) * 4, mode="replicate")
    height, width = (side // stride for side in image.shape[-2:])
    squares = padded.unflatten(3, (-1, stride)).unflatten(2, (-1, stride)).permute(0, 2, 4, 1, 3, 5)
    patches = image.new_empty(len(image), height, width, image.shape[1], 2, 2, stride, stride)
    for row, column in itertools.product(range(2), repeat=2):
        patches[:, :, :, :, row, column] = squares[:, row : row + height, column : column + width]
    return patches.flatten(3).permute(0, 3, 1, 2)


@torch.no_grad()
def patch_votes(
    luma: Tensor, coloured: Tensor, place: Tensor, similarity: Tensor, temperature: Tensor | float, noise: float
) -> Tensor:
    """What each cell's patch says of the pixels that it covers, to be summed over patches by `merge_votes`.

    Args:
        luma: (B, N, P), L in [0, 100], patches of the frame, P = (2 stride)^2.
        coloured: (B, M, 3 P), CIELAB, patches of the reference; any precision.
        place: (B, N, K), int64: the reference's patches that each of the frame's resembles.
        similarity: (B, N, K), of these.
        temperature: of the similarities: a vote's weight grows with exp(similarity / temperature).
        noise: standard deviation of L between two views of a point, root mean square over three by three pixels.

    Returns:
        (B, N, 5 P): the sum of weights, then of weights times a, b, similarity, and difference of L. Without gradient.
    """
    batch, cells, pixels = luma.shape
    stride = round(pixels**0.5) // 2
    hat, neighbours = _hat(stride, like=luma), _neighbours(stride, like=luma)
    unlike = (similarity - similarity.amax(2, keepdim=True)) / temperature
    votes = luma.new_empty(batch, cells, 5, pixels)
    chunk = _CHUNK.get(luma.device.type, _CHUNK_ELSEWHERE)
    for a, b, c, d, vote in zip(
        *(x.split(chunk, dim=1) for x in (luma, place, similarity, unlike, votes)), strict=True
    ):
        read = take_rows(coloured, b).to(luma.dtype).unflatten(3, (3, -1))
        around = (read[..., 0, :] - a[:, :, None]).square() @ neighbours
        odds = torch.sub(d[..., None], around, alpha=1 / (2 * noise**2))
        weights = odds.clamp(min=-_PATIENCE).exp() * hat
        torch.sum(weights, dim=2, out=vote[:, :, 0])
        torch.sum(weights[:, :, :, None] * read[..., 1:, :], dim=2, out=vote[:, :, 1:3])
        torch.sum(weights * c[..., None], dim=2, out=vote[:, :, 3])
        torch.sum(weights * around.sqrt(), dim=2, out=vote[:, :, 4])
    return votes.flatten(2)


def merge_votes(votes: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sum `patch_votes` over overlapping patches.

    Args:
        votes: (B, 5 P, H / stride, W / stride); fastest with channels last in memory.
        stride: of the grid.

    Returns:
        ab, (B, 2, H, W), CIELAB units; the similarity of what was chosen, and the difference of L around it, each
        (B, 1, H, W).
    """
    height, width = votes.shape[-2:]
    quarters = votes.permute(0, 2, 3, 1).unflatten(3, (5, 2, 2, -1))
    summed = votes.new_zeros(len(votes), height + 1, width + 1, 5, stride**2)
    for row, column in itertools.product(range(2), repeat=2):
        summed[:, row : row + height, column : column + width] += quarters[:, :, :, :, row, column]
    means = (summed[..., 1:, :] / summed[..., :1, :]).flatten(3).permute(0, 3, 1, 2)
    half = stride // 2
    ab, similarity, difference = F.pad(F.pixel_shuffle(means, stride), (-half,) * 4).split([2, 1, 1], dim=1)
    return ab, similarity, difference


def _hat(stride: int, like: Tensor) -> Tensor:
    """Bilinear weights of a patch's pixels, (P,): overlapping patches' sum to one."""
    ramp = (torch.arange(stride, dtype=like.dtype, device=like.device) + 0.5) / stride
    ramp = torch.stack([ramp, ramp.flip(0)])
    return torch.einsum("ir,jc->ijrc", ramp, ramp).flatten()


def _neighbours(stride: int, like: Tensor) -> Tensor:
    """A matrix (P, P) by which a patch's pixels become the means of three by three of them, fewer at its border."""
    place = torch.arange(2 * stride, device=like.device)
    near = ((place[:, None] - place).abs() <= 1).to(like.dtype)
    near = (near / near.sum(dim=0)).view(2, stride, 2, stride)
    return torch.einsum("arbs,ctdu->acrtbdsu", near, near).reshape(4 * stride**2, -1)
