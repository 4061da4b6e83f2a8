"""Where flows can be trusted: where opposite ones agree, where one tears, where the frames agree along it.

Ruder et al. 2016, section 3, and Sundaram et al. 2010 for the first two.
"""

import torch
from torch import Tensor

from flowchroma.ops.warp import backward_warp, points_inside


def forward_backward_error(flow: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """Squared disagreement of two opposite flows, and the bound above which it means occlusion.

    Args:
        flow: (B, 2, H, W), pixels, on the grid where the answer is wanted.
        back: (B, 2, H, W), pixels, the opposite flow, on the other frame's grid; read where `flow` points.

    Returns:
        |flow + back|^2 and 0.01 (|flow|^2 + |back|^2) + 0.5, each (B, 1, H, W), squared pixels. `flow` that leaves the
        frame reads the border's `back`: see `occlusion`.
    """
    returned = backward_warp(back, flow)
    flow = flow.to(returned.dtype)
    error = (flow + returned).square().sum(dim=1, keepdim=True)
    lengths = flow.square().sum(dim=1, keepdim=True) + returned.square().sum(dim=1, keepdim=True)
    return error, 0.01 * lengths + 0.5


def occlusion(flow: Tensor, back: Tensor) -> Tensor:
    """Where the flow's pixel cannot be seen in the frame it points to (Ruder et al. 2016, equation 6).

    Args:
        flow: see `forward_backward_error`.
        back: the same.

    Returns:
        (B, 1, H, W), bool: true where the flows disagree by more than the bound, where `flow` points outside the frame,
        or where either is not a number.
    """
    error, bound = forward_backward_error(flow, back)
    return ~((error <= bound) & (points_inside(flow) > 0))


def motion_boundary(flow: Tensor) -> Tensor:
    """Where the flow tears, |du|^2 + |dv|^2 > 0.01 |flow|^2 + 0.002 (Ruder et al. 2016, equation 7).

    Args:
        flow: (B, 2, H, W), pixels.

    Returns:
        (B, 1, H, W), bool. Gradients are forward differences, 0 across the last column and the last row.
    """
    squares = torch.zeros_like(flow[:, :1])
    squares[..., :-1] += flow.diff(dim=-1).square().sum(dim=1, keepdim=True)
    squares[..., :-1, :] += flow.diff(dim=-2).square().sum(dim=1, keepdim=True)
    return squares > 0.01 * flow.square().sum(dim=1, keepdim=True) + 0.002


def visible(flow: Tensor, back: Tensor) -> Tensor:
    """Where a flow can be trusted: (B, 1, H, W), bool, neither `occlusion` nor `motion_boundary`."""
    return ~(occlusion(flow, back) | motion_boundary(flow))


def match_exposure(warped: Tensor, luma: Tensor) -> Tensor:
    """Give a warped frame the light of the frame that it should equal: one gain and one offset for all of it.

    Least squares, then once more with every pixel weighed by 1 / (1 + |difference|), so that what is uncovered, which
    no light explains, counts little.

    Args:
        warped: (B, 1, H, W), L in [0, 100].
        luma: the same.

    Returns:
        gain * warped + offset, (B, 1, H, W); the gain is between 1/2 and 2.
    """
    weight = torch.ones_like(luma)
    fitted = warped
    for _ in range(2):
        weight = weight / weight.mean(dim=(1, 2, 3), keepdim=True)
        mean, target = ((weight * x).mean(dim=(1, 2, 3), keepdim=True) for x in (warped, luma))
        centred = weight * (warped - mean)
        covariance = (centred * (luma - target)).mean(dim=(1, 2, 3), keepdim=True)
        variance = (centred * (warped - mean)).mean(dim=(1, 2, 3), keepdim=True)
        # A flat frame says nothing of the gain.
        gain = ((covariance + 1e-3) / (variance + 1e-3)).clamp(0.5, 2.0)
        fitted = target + gain * (warped - mean)
        weight = 1 / (1 + (luma - fitted).abs())
    return fitted
