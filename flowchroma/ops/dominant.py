"""The one motion that most of a frame shares: the camera's, as a rule."""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from flowchroma.ops import luminance
from flowchroma.ops.warp import points_inside
from flowchroma.ops.window import window_mean

_SMALLEST = 8  # pixels a side of a shrunk frame
_ENOUGH = 2**14  # pixels of a shrunk frame: eight parameters hardly gain by more
_LOCAL = 1  # radius of what is local when luminance is normalised
_FLOOR = 1e-3  # of the squared residual of normalised luminance
_DAMPING = 1e-5  # a pixel


class _Grid(NamedTuple):
    """Places of a frame's pixels, measured from its middle, half its longer side being 1."""

    x: Tensor  # (w)
    y: Tensor  # (h, 1)
    unit: tuple[float, float]  # pixels of the grid along x and along y

    def flow(self, parameters: Tensor) -> Tensor:
        """(B, 8) to (B, 2, h, w), in the grid's pixels."""
        p = parameters[..., None, None].unbind(1)
        along_x = (p[0] + p[1] * self.x + p[6] * self.x.square()) + self.y * (p[2] + p[7] * self.x)
        along_y = (p[3] + p[4] * self.x) + self.y * ((p[5] + p[6] * self.x) + p[7] * self.y)
        return torch.stack([self.unit[0] * along_x, self.unit[1] * along_y], dim=1)

    def rows(self, gx: Tensor, gy: Tensor) -> Tensor:
        """Derivative of gradient times flow, (B, 1, h, w) each, by the parameters: (B, 8, h * w)."""
        gx, gy = self.unit[0] * gx, self.unit[1] * gy
        outward = gx * self.x + gy * self.y
        parts = [gx, gx * self.x, gx * self.y, gy, gy * self.x, gy * self.y, outward * self.x, outward * self.y]
        return torch.cat(parts, dim=1).flatten(2)


@torch.no_grad()
def dominant_motion(
    luma: luminance.Luma,
    previous: luminance.Luma,
    *,
    scales: Sequence[int] = (16, 8, 4, 2),
    steps: tuple[int, int] = (1, 2),
) -> Tensor:
    """Fit the motion of a plane to a whole frame, from coarse to fine.

    The flow is quadratic in the pixel's place, with the eight parameters of a moving plane (Odobez and Bouthemy,
    "Robust multiresolution estimation of parametric motion models", 1995). Each step is least squares over all pixels,
    weighed by (1 + r / m)^-3, r being the squared residual of locally normalised luminance around the pixel and m the
    median of r: what moves otherwise counts little.

    Args:
        luma: (B, 1, H, W), L in [0, 100], of frame t.
        previous: the same, of frame t - 1.
        scales: by which the frame is shrunk, falling powers of two; those that leave less than 8 pixels a side are left
            out, and those that leave more than 16384 pixels where a larger scale will do.
        steps: at every scale but the last, and at the last, which has no fewer.

    Returns:
        (B, 2, H, W), pixels, (x, y), of frame t back to t - 1; begun anew from zero where it explains
        less of a frame than none. Without gradient.
    """
    now, then = luminance.Pyramid.of(luma), luminance.Pyramid.of(previous)
    with torch.autocast(now.luma.device.type, enabled=False):
        whole = now.luma.shape[-2:]
        sizes = {scale: [side // scale for side in whole] for scale in scales}
        ladder = [scale for scale in scales if all(side >= _SMALLEST for side in sizes[scale])]
        used = [place == 0 or math.prod(sizes[scale]) <= _ENOUGH for place, scale in enumerate(ladder)]
        parameters = now.luma.new_zeros(len(now.luma), 8)
        for scale, here, beyond in zip(ladder, used, [*used, False][1:], strict=True):
            taken = [here] * steps[0] + [here & torch.sym_not(beyond)] * (steps[1] - steps[0])
            parameters = _fit(now, then, scale, parameters, taken, moved=scale != ladder[0])
        return _grid(now.luma, whole).flow(parameters)


def _fit(
    now: luminance.Pyramid,
    then: luminance.Pyramid,
    scale: int,
    parameters: Tensor,
    steps: Sequence[bool | torch.SymBool],
    moved: bool,
) -> Tensor:
    """Improve the motion's parameters (B, 8) at one scale by those steps that are taken; where not `moved` they are 0.

    In a graph for frames of any size it is known only when it runs which are taken.
    """
    steps = [taken for taken in steps if taken is not False]
    if not steps:
        return parameters
    frame, unmoved = now.normalised(scale, _LOCAL), then.normalised(scale, _LOCAL)
    grid, finer = (_grid(now.luma, now.at(s).shape[-2:]) for s in (scale, scale // 2))
    still = _median(_energy(frame, unmoved))
    for taken in steps:
        warped = then.warped(scale, finer.flow(parameters), _LOCAL) if moved else unmoved
        moved = True
        energy = _energy(frame, warped)
        spread = _median(energy)
        weight = points_inside(grid.flow(parameters)) / (1 + energy / (spread + _FLOOR)) ** 3
        found = parameters + _step(frame, warped, grid, weight)
        # A fit that went astray is worse than none, and begins anew.
        found = torch.where(spread.flatten(1) <= still.flatten(1), found, 0.0)
        if taken is not True:
            found = torch.where(torch.scalar_tensor(taken, dtype=torch.bool), found, parameters)
        parameters = found
    return parameters


def _energy(frame: Tensor, warped: Tensor) -> Tensor:
    return window_mean((frame - warped).square(), 1)


def _step(frame: Tensor, warped: Tensor, grid: _Grid, weight: Tensor) -> Tensor:
    rows = grid.rows(*luminance.gradient((frame + warped) / 2))
    weighed = rows * weight.flatten(2)
    damping = _DAMPING * rows.shape[2] * torch.eye(8, dtype=rows.dtype, device=rows.device)
    right = weighed @ (frame - warped).flatten(2).transpose(1, 2)
    matrix = weighed @ rows.transpose(1, 2) + damping
    if torch.compiler.is_exporting():  # ONNX has no equations
        return _eliminated(matrix, right)
    return torch.linalg.solve(matrix, right)[..., 0]


def _eliminated(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve (B, 8, 8) x = (B, 8, 1), positive definite, by Gauss and Jordan: (B, 8)."""
    table = torch.cat([matrix, right], dim=2)
    for place, here in enumerate(torch.eye(8, dtype=torch.bool, device=table.device)[..., None].unbind()):
        row = table[:, place : place + 1] / table[:, place : place + 1, place : place + 1]
        table = torch.where(here, row, table - table[:, :, place : place + 1] * row)
    return table[..., -1]


def _median(x: Tensor) -> Tensor:
    """Of every item: (B, 1, 1, 1)."""
    if torch.compiler.is_exporting():
        ordered = x.flatten(1).sort(dim=1).values
        return ordered[:, (ordered.shape[1] - 1) // 2].view(-1, 1, 1, 1)
    return x.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)


def _grid(luma: Tensor, size: Sequence[int]) -> _Grid:
    whole = luma.shape[-2:]
    longer = cast(float, torch.sym_max(*whole))  # which a graph for frames of any size keeps as a symbol
    unit_y, unit_x = (longer / 2 * length / side for length, side in zip(size, whole, strict=True))
    y, x = (torch.arange(length, dtype=luma.dtype, device=luma.device) + (1 - length) / 2 for length in size)
    return _Grid(x / unit_x, y[:, None] / unit_y, (unit_x, unit_y))
