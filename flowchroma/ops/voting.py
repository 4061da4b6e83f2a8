"""Colour read pixel by pixel where matching is coarse: matches of the cells around a pixel vote on where it comes from.

As in PatchMatch-based synthesis (Barnes et al., SIGGRAPH 2009), every match stands for the displacement of a patch, and
overlapping patches vote; here each vote counts as far as the luminance around the pixel agrees.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_PATIENCE = 40.0  # a vote's logarithm never falls lower, so that some vote always counts


def extract_patches(image: Tensor, stride: int) -> Tensor:
    """Square patches of twice the stride around each of a grid's cells.

    Args:
        image: (B, C, H, W), sides multiples of `stride`.
        stride: of the grid, even.

    Returns:
        (B, C * 4 * stride^2, H / stride, W / stride); beyond the border, the border is repeated.
    """
    half = stride // 2
    padded = F.pad(image, (half,) * 4, mode="replicate")
    grid = (image.shape[-2] // stride, image.shape[-1] // stride)
    return F.unfold(padded, 2 * stride, stride=stride).unflatten(2, grid)


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
    side = round(luma.shape[2] ** 0.5)
    item = torch.arange(len(place), device=place.device).view(-1, 1, 1)
    read = coloured[item, place].unflatten(3, (3, -1)).to(luma.dtype)
    squares = (read[..., 0, :] - luma[:, :, None]).square()
    around = F.avg_pool2d(squares.view(-1, 1, side, side), 3, 1, padding=1, count_include_pad=False).view_as(squares)
    odds = (similarity - similarity.amax(2, keepdim=True))[..., None] / temperature - around / (2 * noise**2)
    weights = odds.clamp(min=-_PATIENCE).exp() * _hat(side, like=luma)
    kinds = (torch.ones_like(squares), read[..., 1, :], read[..., 2, :], similarity[..., None], around.sqrt())
    return torch.cat([(weights * kind).sum(dim=2) for kind in kinds], dim=2)


def merge_votes(votes: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sum `patch_votes` over overlapping patches.

    Args:
        votes: (B, 5 P, H / stride, W / stride).
        stride: of the grid.

    Returns:
        ab, (B, 2, H, W), CIELAB units; the similarity of what was chosen, and the difference of L around it, each
        (B, 1, H, W).
    """
    size = tuple(stride * side for side in votes.shape[-2:])
    summed = F.fold(votes.flatten(2), size, 2 * stride, stride=stride, padding=stride // 2)
    ab, similarity, difference = (summed[:, 1:] / summed[:, :1]).split([2, 1, 1], dim=1)
    return ab, similarity, difference


def _hat(side: int, like: Tensor) -> Tensor:
    """Bilinear weights of a patch's pixels, (P,): overlapping patches' sum to one."""
    half = side // 2
    ramp = (torch.arange(half, dtype=like.dtype, device=like.device) + 0.5) / half
    ramp = torch.cat([ramp, ramp.flip(0)])
    return (ramp[:, None] * ramp).flatten()
