"""Where carried colour comes from: how it looked there, carried along, and compared with how it looks here."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.models.state import CarriedOrigin, Origin
from flowchroma.types import Flow

STRIDE = 4  # of the grid of features


def carry_origin(
    before: Origin | None, flow: Flow | None, frame: Origin, carried: Tensor, sharpness: float
) -> CarriedOrigin:
    """Carry the origin of the last frame's colour along the flow, and compare it with a frame.

    Args:
        before: of the last frame's colour; None where no frame came before.
        flow: from this frame back to that one; None likewise.
        frame: how this frame looks itself.
        carried: (B, 1, H, W), bool: where colour was carried.
        sharpness: of `ops.sharp_backward_warp`.
    """
    if before is None or flow is None:
        nothing = torch.zeros_like(frame.luma)
        return CarriedOrigin(nothing, nothing, frame, frame)
    luma = torch.where(carried, ops.sharp_backward_warp(before.luma, flow.colour_flow, sharpness), frame.luma)
    grid = frame.features.shape[-2:]
    coarse = _on_grid(flow.colour_flow, grid)
    features = ops.unit_length(ops.backward_warp(before.features, coarse))
    alike = (features * frame.features).sum(dim=1, keepdim=True)
    similarity = _enlarge(alike, frame.luma.shape[-2:]).clamp(min=0)
    return CarriedOrigin(luma - frame.luma, similarity, Origin(luma, features), frame)


def mixed_origin(found: CarriedOrigin | None, carried: Tensor | None) -> Origin | None:
    """The origin of a mixture: that of the carried colour by its share, and the frame's own look for the rest.

    What was matched is taken to look like the frame.

    Args:
        found: of the carried colour; None where it is not read.
        carried: (B, 1, H, W), in [0, 1]: share of the carried colour.
    """
    if found is None or carried is None:
        return None
    assert found.origin is not None
    assert found.frame is not None
    origin, frame = found.origin, found.frame
    share = carried.detach()
    grid = frame.features.shape[-2:]
    coarse = F.avg_pool2d(_extend(share, grid), STRIDE)
    mixture = coarse * origin.features + (1 - coarse) * frame.features
    return Origin(share * origin.luma + (1 - share) * frame.luma, ops.unit_length(mixture))


def _padding(grid: torch.Size, size: torch.Size) -> ops.Padding:
    """What `ops.pad_to_multiple` added to a frame of a size before its features were computed on a grid."""
    rows, columns = (positions * STRIDE - side for positions, side in zip(grid, size, strict=True))
    return ops.Padding(columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)


def _extend(full: Tensor, grid: torch.Size) -> Tensor:
    """(B, C, H, W) with the border that the features were computed with."""
    return _padding(grid, full.shape[-2:]).add(full)


def _on_grid(flow: Tensor, grid: torch.Size) -> Tensor:
    """A flow, (B, 2, H, W), in pixels, on the grid of features, in its positions."""
    return F.interpolate(_extend(flow, grid), size=grid, mode="bilinear") / STRIDE


def _enlarge(coarse: Tensor, size: torch.Size) -> Tensor:
    """(B, C, h, w) to the frame's size."""
    return _padding(coarse.shape[-2:], size).crop(F.interpolate(coarse, scale_factor=float(STRIDE), mode="bilinear"))
