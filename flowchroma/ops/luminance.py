"""Luminance pyramids, and the normal equations of motion between two frames (Lucas and Kanade, IJCAI 1981)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops.warp import backward_warp, rescale_flow
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


def halved(image: Tensor) -> Tensor:
    """(B, C, H, W) at half the size, without aliasing: (B, C, H // 2, W // 2)."""
    size = [side // 2 for side in image.shape[-2:]]
    return F.interpolate(image, size=size, mode="bilinear", antialias=True)


class Pyramid:
    """Luminance of a frame, and the same halved again and again, `normalised` or not, each computed once.

    Args:
        luma: (B, 1, H, W), L in [0, 100]; not to be changed afterwards.
    """

    def __init__(self, luma: Tensor) -> None:
        self.luma = at_least_float32(luma)
        self._plain = {1: self.luma}
        self._normalised: dict[tuple[int, int], Tensor] = {}

    @classmethod
    def of(cls, luma: "Luma") -> "Pyramid":
        """Build one, or take the one that there is."""
        return luma if isinstance(luma, Pyramid) else cls(luma)

    def at(self, scale: int) -> Tensor:
        """Luminance `scale` times smaller, a power of two: (B, 1, H // scale, W // scale), L in [0, 100]."""
        if scale not in self._plain:
            self._plain[scale] = halved(self.at(scale // 2))
        return self._plain[scale]

    def normalised(self, scale: int, radius: int = 4) -> Tensor:
        """The same, `normalised` at that size within `radius` pixels of it."""
        key = scale, radius
        if key not in self._normalised:
            self._normalised[key] = normalised(self.at(scale), radius)
        return self._normalised[key]

    def warped(self, scale: int, flow: Tensor, radius: int = 4) -> Tensor:
        """Warp along a flow of any size (B, 2, h, w), in its own pixels: (B, 1, H // scale, W // scale), `normalised`.

        A frame of twice the size is warped and then halved: interpolating a small one biases fractions of a pixel.
        """
        finer = self.at(scale // 2)
        return normalised(halved(backward_warp(finer, rescale_flow(flow, finer.shape[-2:]))), radius)


Luma = Tensor | Pyramid  # (B, 1, H, W), L in [0, 100]; a pyramid of it where others need it, too


def gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, one-sided and halved at the border; each the shape of `image`."""
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return gx, gy


@torch.no_grad()
def normal_equations(frame: Tensor, warped: Tensor) -> Tensor:
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
    pairs = ((gx, gx), (gx, gy), (gy, gy), (gx, difference), (gy, difference))
    if torch.compiler.is_exporting():  # which takes no `out`
        return torch.cat([torch.mul(*pair) for pair in pairs], dim=1)
    products = frame.new_empty(len(frame), 5, *frame.shape[-2:])
    for product, pair in zip(products.split(1, dim=1), pairs, strict=True):
        torch.mul(*pair, out=product)
    return products


def solve(equations: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Solve averaged `normal_equations`.

    Args:
        equations: (B, 5, H, W).
        damping: of the squared gradient; keeps flat regions still.

    Returns:
        The step, (B, 2, H, W), pixels, (x, y), and det / trace of the matrix, (B, 1, H, W), between half the smaller
        eigenvalue and the whole: how well both directions are known.
    """
    xx, xy, yy, bx, by = equations.split(1, dim=1)
    xx, yy = xx + damping, yy + damping
    determinant = torch.addcmul(xx * yy, xy, xy, value=-1)
    step = torch.cat([torch.addcmul(yy * bx, xy, by, value=-1), torch.addcmul(xx * by, xy, bx, value=-1)], dim=1)
    return step / determinant, determinant / (xx + yy)
