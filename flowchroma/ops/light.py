"""What the light of two frames says of the motion between them (Lucas and Kanade, IJCAI 1981)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops.window import window_mean

_CONTRAST_FLOOR = 3.0  # in units of L: weaker texture is noise


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision widened, anything else as it is."""
    return x if x.dtype == torch.float64 else x.float()


def normalised(luma: Tensor, radius: int = 4) -> Tensor:
    """Luminance by its local mean and contrast, so that a change of light does not move anything.

    Args:
        luma: (B, 1, H, W), L in [0, 100].
        radius: of the window that is local.

    Returns:
        The same shape; noise of a flat region stays small.
    """
    centred = luma - window_mean(luma, radius)
    return centred / (window_mean(centred.square(), radius).sqrt() + _CONTRAST_FLOOR)


def shrunk(luma: Tensor, size: Sequence[int], radius: int = 4) -> Tensor:
    """Luminance (B, 1, H, W) at a smaller size (h, w), `normalised` there: (B, 1, h, w)."""
    return normalised(F.interpolate(luma, size=size, mode="bilinear", antialias=True), radius)


def gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, one-sided and halved at the border; each the shape of `image`."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return gx, gy


def equations(frame: Tensor, warped: Tensor) -> Tensor:
    """Normal equations of the step that would take `warped` to `frame`, at every pixel by itself.

    Args:
        frame: (B, 1, H, W), normalised.
        warped: the same, of the frame before, warped along the flow so far.

    Returns:
        (B, 5, H, W): xx, xy, yy of the gradient g, and g times the difference. Their means over a window can
        be solved.
    """
    gx, gy = gradient((frame + warped) / 2)
    difference = frame - warped
    return torch.cat([gx * gx, gx * gy, gy * gy, gx * difference, gy * difference], dim=1)


def solved(equations: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Solve averaged `equations`.

    Args:
        equations: (B, 5, H, W).
        damping: of the squared gradient; keeps flat regions still.

    Returns:
        The step, (B, 2, H, W), pixels, (x, y), and det / trace of the matrix, (B, 1, H, W), between half the smaller
        eigenvalue and the whole: how well both directions are known.
    """
    xx, xy, yy, bx, by = equations.split(1, dim=1)
    xx, yy = xx + damping, yy + damping
    determinant = xx * yy - xy * xy
    return torch.cat([yy * bx - xy * by, xx * by - xy * bx], dim=1) / determinant, determinant / (xx + yy)
