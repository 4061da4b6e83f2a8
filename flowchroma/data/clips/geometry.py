"""Cropping, resizing, mirroring and warping frames, and the flow between them with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

# Rows of `F.affine_grid`: x and y of where each pixel comes from.
Affine = tuple[tuple[float, float, float], tuple[float, float, float]]

_SAME_MOTION = 0.25  # pixels: neighbours whose flows differ by less move together


@dataclass(frozen=True)
class Crop:
    """A box in a frame, as fractions of its height and width, so that it fits the frame read at any scale."""

    top: float
    left: float
    height: float
    width: float

    def pixels(self, size: Sequence[int]) -> tuple[int, int, int, int]:
        """Round to whole pixels of a frame of `size` (height, width): top, left, height, width."""
        height, width = max(1, round(self.height * size[0])), max(1, round(self.width * size[1]))
        top, left = round(self.top * size[0]), round(self.left * size[1])
        return min(top, size[0] - height), min(left, size[1] - width), height, width

    def needs(self, out: Sequence[int]) -> tuple[int, int]:
        """Give the size of a frame, (height, width), in which the box has as many pixels as `out`."""
        return math.ceil(out[0] / self.height), math.ceil(out[1] / self.width)


def centre_crop(size: Sequence[int], out: Sequence[int]) -> Crop:
    """Give the largest box of the shape of `out` in the middle of a frame of `size` (both height, width)."""
    return _box(size, out, 1.0, 0.5, 0.5)


def draw_crop(rng: np.random.Generator, size: Sequence[int], out: Sequence[int], scale: Sequence[float]) -> Crop:
    """Draw a box of the shape of `out`, its sides `scale` (least, most) times those of the largest that fits."""
    return _box(size, out, rng.uniform(scale[0], scale[1]), rng.random(), rng.random())


def resize(
    frames: Sequence[NDArray[np.uint8]], crop: Crop, into: Sequence[NDArray[np.uint8]], mirrored: bool = False
) -> None:
    """Crop frames (H, W, 3), all of one size, and resize them, antialiased, into as many arrays (h, w, 3).

    The arrays are contiguous. Left and right are swapped if `mirrored`.
    """
    import cv2

    top, left, height, width = crop.pixels(frames[0].shape[:2])
    cut = [frame[top : top + height, left : left + width] for frame in frames]
    out = into[0].shape[:2]
    if height > out[0] or width > out[1]:
        stack = torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2)
        cut = list(F.interpolate(stack, out, mode="bilinear", antialias=True).permute(0, 2, 3, 1).numpy())
    for frame, place in zip(cut, into, strict=True):
        # Where nothing is averaged this gives what `interpolate` does; it is faster, and writes in place.
        cv2.resize(frame, out[::-1], dst=place, interpolation=cv2.INTER_LINEAR)
        if mirrored:
            cv2.flip(place, 1, dst=place)


def resize_flow(flow: Tensor, visible: Tensor, crop: Crop, out: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Crop and resize flow as `resize` does the frames.

    Vectors scale with the frames. Flow is interpolated between pixels whose flows are nearly equal; at a motion
    boundary the nearest pixel's is taken, as a mean would be the motion of neither side.

    Args:
        flow: (N, 2, H, W), pixels, (x, y).
        visible: (N, 1, H, W), bool.
        crop: the box that the frames were cut to.
        out: height and width of the result.

    Returns:
        Both on the new grid. A pixel whose flow points outside the box is not visible.
    """
    top, left, height, width = crop.pixels(flow.shape[-2:])
    flow = flow[..., top : top + height, left : left + width]
    visible = visible[..., top : top + height, left : left + width]
    if (height, width) != tuple(out):
        rows, columns = _Axis.between(height, out[0]), _Axis.between(width, out[1])
        visible = visible[..., rows.nearest, :][..., columns.nearest]
        flow = _resample(flow, rows, columns) * flow.new_tensor((out[1] / width, out[0] / height)).view(2, 1, 1)
    return flow, visible & inside(flow)


def mirror_flow(flow: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Swap left and right of flow (..., 2, H, W), whose x component changes sign, and of `visible`."""
    return flow.flip(-1) * flow.new_tensor((-1, 1)).view(2, 1, 1), visible.flip(-1)


def inside(flow: Tensor) -> Tensor:
    """Which pixels' flow, (N, 2, H, W), points into the frame: (N, 1, H, W), bool."""
    height, width = flow.shape[-2:]
    x = flow[:, :1] + torch.arange(width)
    y = flow[:, 1:] + torch.arange(height)[:, None]
    slack = 1e-3  # so that rounding does not hide the border of a still picture
    return (x >= -slack) & (x <= width - 1 + slack) & (y >= -slack) & (y <= height - 1 + slack)


def draw_affine(rng: np.random.Generator, size: Sequence[int]) -> Affine:
    """Draw a small rotation, scaling and shift of an image of `size` (height, width), mirrored in half of all cases."""
    height, width = size
    angle, scale = rng.uniform(-0.17, 0.17), rng.uniform(0.85, 1.15)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    side = -1.0 if rng.random() < 0.5 else 1.0
    # In grid_sample both sides have length 2, so that a rotation needs the aspect ratio.
    return (
        (side * cos, -side * sin * height / width, rng.uniform(-0.15, 0.15)),
        (sin * width / height, cos, rng.uniform(-0.15, 0.15)),
    )


def warp_affine(image: Tensor, rows: Affine) -> Tensor:
    """Warp an image (3, H, W); beyond its border it is mirrored."""
    grid = F.affine_grid(image.new_tensor(rows)[None], [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)[0]


@dataclass(frozen=True)
class _Axis:
    """Where the pixels of a resized axis lie on the original one."""

    low: Tensor  # the two original pixels around each
    high: Tensor
    fraction: Tensor  # of the distance from low to high
    nearest: Tensor

    @classmethod
    def between(cls, old: int, new: int) -> "_Axis":
        place = ((torch.arange(new) + 0.5) * (old / new) - 0.5).clamp(0, old - 1)
        low = place.floor().long()
        return cls(low, (low + 1).clamp(max=old - 1), place - low, place.round().long())


def _resample(flow: Tensor, rows: _Axis, columns: _Axis) -> Tensor:
    upper, lower = flow[..., rows.low, :], flow[..., rows.high, :]
    corners = tuple(row[..., side] for row in (upper, lower) for side in (columns.low, columns.high))
    across, down = columns.fraction, rows.fraction[:, None]
    smooth = torch.lerp(torch.lerp(corners[0], corners[1], across), torch.lerp(corners[2], corners[3], across), down)
    stack = torch.stack(corners)
    together = ((stack.amax(0) - stack.amin(0)) < _SAME_MOTION).all(dim=-3, keepdim=True)
    return torch.where(together, smooth, flow[..., rows.nearest, :][..., columns.nearest])


def _box(size: Sequence[int], out: Sequence[int], scale: float, down: float, across: float) -> Crop:
    fit = min(size[0] / out[0], size[1] / out[1]) * scale
    height, width = fit * out[0] / size[0], fit * out[1] / size[1]
    return Crop((1 - height) * down, (1 - width) * across, height, width)
