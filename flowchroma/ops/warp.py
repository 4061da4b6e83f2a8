"""Sampling images where a flow points."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Coordinates of every pixel: (1, 2, height, width), (x, y), with the type and device of `like`."""
    y = torch.arange(height, device=like.device, dtype=like.dtype)
    x = torch.arange(width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def sample_at(image: Tensor, points: Tensor, padding: str = "border") -> Tensor:
    """Sample `image` bilinearly at pixel coordinates.

    Args:
        image: (B, C, H, W).
        points: (B, 2, h, w), (x, y), 0 at the centre of the first pixel.
        padding: what lies outside the image: "border" repeats it, "zeros" is empty.

    Returns:
        (B, C, h, w). An image one pixel wide is sampled like any other. Where a gradient is wanted, a point that is not
        a number gives none; elsewhere it gives some pixel.
    """
    size = _pair(points, image.shape[-1], image.shape[-2])
    # In this order whole pixels are hit exactly.
    normalised = torch.add(points.new_ones(()), points, alpha=2).div_(size).sub_(1)
    lost = None
    if torch.is_grad_enabled() and (image.requires_grad or points.requires_grad):
        # PyTorch's gradient on the CPU follows such a point out of memory.
        lost = points.isnan().any(dim=1, keepdim=True)
        normalised = normalised.masked_fill(lost, 0.0)
    sampled = F.grid_sample(image, normalised.movedim(1, -1), padding_mode=padding, align_corners=False)
    return sampled if lost is None else sampled.masked_fill(lost, torch.nan)


def backward_warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample `image` where `flow` points.

    Args:
        image: (B, C, H, W) on the source frame's grid.
        flow: (B, 2, H, W) in pixels, (x, y), on the target frame's grid.

    Returns:
        (B, C, H, W) on the target's grid, border pixels repeated. Float32 at least, also under autocast: half precision
        would move the sampling point by whole pixels in a wide frame.
    """
    with torch.autocast(flow.device.type, enabled=False):
        flow = flow if flow.dtype == torch.float64 else flow.float()
        height, width = flow.shape[-2:]
        return sample_at(image.to(flow.dtype), pixel_grid(height, width, like=flow) + flow)


def sharp_backward_warp(image: Tensor, flow: Tensor, sharpness: float) -> Tensor:
    """`backward_warp` that blurs less: what is carried from frame to frame is interpolated again in each of them.

    Between two samples a linear interpolation misses a function f by f'' q (1 - q) / 2, q being the share of the way:
    this is taken back along both axes, with second differences for f'', which are 0 at the border and beyond.

    Args:
        image: (B, C, H, W) on the source frame's grid.
        flow: (B, 2, H, W) in pixels, (x, y), on the target frame's grid.
        sharpness: how much of it is taken back; 0 is `backward_warp`, 1 is exact for quadratic functions
            two pixels and more from the border.

    Returns:
        As `backward_warp`.
    """
    along_x = F.pad(image.diff(n=2, dim=-1), (1, 1, 0, 0)) if image.shape[-1] > 2 else torch.zeros_like(image)
    along_y = F.pad(image.diff(n=2, dim=-2), (0, 0, 1, 1)) if image.shape[-2] > 2 else torch.zeros_like(image)
    value, xx, yy = backward_warp(torch.cat([image, along_x, along_y], dim=1), flow).chunk(3, dim=1)
    share = (flow - flow.floor()).to(value.dtype)
    missed = (share * (1 - share) / 2).split(1, dim=1)
    return value - sharpness * (missed[0] * xx + missed[1] * yy)


def rescale_flow(flow: Tensor, size: Sequence[int]) -> Tensor:
    """A flow (B, 2, h, w) on another grid of the same frame: (B, 2, *size), in that grid's pixels."""
    height, width = size
    if (height, width) == flow.shape[-2:]:
        return flow
    ratio = _pair(flow, width / flow.shape[-1], height / flow.shape[-2])
    smaller = width < flow.shape[-1]
    return ratio * F.interpolate(flow, size=(height, width), mode="bilinear", antialias=smaller)


def points_inside(flow: Tensor) -> Tensor:
    """Where `flow` (B, 2, H, W) points to a place within the frame: (B, 1, H, W), 1 or 0."""
    height, width = flow.shape[-2:]
    x, y = (pixel_grid(height, width, like=flow) + flow).unbind(1)
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).to(flow.dtype)[:, None]


def _pair(like: Tensor, x: float, y: float) -> Tensor:
    """Two numbers as (1, 2, 1, 1)."""
    if torch.compiler.is_exporting():  # where they are not known yet
        return torch.cat([like.new_full((1, 1, 1, 1), number) for number in (x, y)], dim=1)
    return like.new_tensor([x, y]).view(1, 2, 1, 1)
