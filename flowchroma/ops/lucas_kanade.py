"""Flow without learning, for a network to start from (Lucas and Kanade, IJCAI 1981; Bouguet, 2001, for the pyramid)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops.warp import backward_warp
from flowchroma.ops.window import window_mean

_CONTRAST_FLOOR = 3.0  # in units of L: weaker texture is noise
_DAMPING = 0.1  # of the squared gradient of normalised luminance; keeps flat regions still


@torch.no_grad()
def lucas_kanade(
    luma: Tensor,
    previous: Tensor,
    *,
    levels: int = 4,
    finest: int = 0,
    iterations: int = 3,
    radius: int = 4,
    smoothing: int = 3,
) -> Tensor:
    """Estimate dense backward flow, from coarse to fine.

    At every pixel the least-squares step sum(g g^T) d = sum(g e) is taken over a window, g being the gradient and e the
    difference to the warped frame, both of luminance normalised by its local mean and contrast, so that a change of
    light does not move anything. Steps are at most a pixel of their level and are averaged over their neighbourhood.

    Args:
        luma: (B, 1, H, W), L in [0, 100], of frame t.
        previous: the same, of frame t - 1.
        levels: of the pyramid; each halves the frame. As many as leave 8 pixels a side are used.
        finest: level at which to stop; 0 is the frame itself, 1 half its size.
        iterations: steps a level.
        radius: of the window.
        smoothing: radius of the averaging.

    Returns:
        (B, 2, H, W), pixels, (x, y), of frame t back to t - 1. Without gradient.
    """
    with torch.autocast(luma.device.type, enabled=False):
        pyramids = [_pyramid(_at_least_float32(frame), levels) for frame in (luma, previous)]
        flow = torch.zeros_like(pyramids[0][-1]).expand(-1, 2, -1, -1)
        for frame, before in zip(*(reversed(p[min(finest, len(p) - 1) :]) for p in pyramids), strict=True):
            flow = _resized(flow, frame)
            for _ in range(iterations):
                flow = window_mean(flow + _step(frame, backward_warp(before, flow), radius), smoothing)
        return _resized(flow, luma)


@torch.no_grad()
def polish(
    flow: Tensor,
    luma: Tensor,
    previous: Tensor,
    *,
    levels: int = 2,
    steps: int = 2,
    radius: int = 2,
    smoothing: int = 1,
) -> Tensor:
    """Correct a flow by what the light still tells: a few of `lucas_kanade`'s steps, at half the size and at the whole.

    Only the corrections are averaged over their neighbourhood, so that the flow keeps its edges.

    Args:
        flow: (B, 2, H, W), pixels, (x, y), of frame t back to t - 1.
        luma: (B, 1, H, W), L in [0, 100], of frame t.
        previous: the same, of frame t - 1.
        levels: of the pyramid, 1 for the frame itself alone.
        steps: corrections a level, each at most a pixel of it.
        radius: of the window.
        smoothing: radius of the averaging.

    Returns:
        The corrected flow, (B, 2, H, W). Without gradient.
    """
    with torch.autocast(luma.device.type, enabled=False):
        pyramids = [_pyramid(_at_least_float32(image), levels) for image in (luma, previous)]
        flow = _at_least_float32(flow)
        for frame, before in zip(*(reversed(p) for p in pyramids), strict=True):
            start = here = _resized(flow, frame)
            for _ in range(steps):
                here = here + window_mean(_step(frame, backward_warp(before, here), radius), smoothing)
            flow = flow + _resized(here - start, flow)
        return flow


def _resized(flow: Tensor, frame: Tensor) -> Tensor:
    """The flow on another frame's grid, in its pixels."""
    if flow.shape[-2:] == frame.shape[-2:]:
        return flow
    ratio = flow.new_tensor([frame.shape[-1] / flow.shape[-1], frame.shape[-2] / flow.shape[-2]]).view(1, 2, 1, 1)
    smaller = frame.shape[-1] < flow.shape[-1]
    return ratio * F.interpolate(flow, size=frame.shape[-2:], mode="bilinear", antialias=smaller)


def _step(frame: Tensor, warped: Tensor, radius: int) -> Tensor:
    gx, gy = _gradient((frame + warped) / 2)
    difference = frame - warped
    products = torch.cat([gx * gx, gx * gy, gy * gy, gx * difference, gy * difference], dim=1)
    xx, xy, yy, bx, by = window_mean(products, radius).split(1, dim=1)
    xx, yy = xx + _DAMPING, yy + _DAMPING
    step = torch.cat([yy * bx - xy * by, xx * by - xy * bx], dim=1) / (xx * yy - xy * xy)
    return step.clamp(-1, 1)


def _pyramid(luma: Tensor, levels: int) -> list[Tensor]:
    frames = [luma]
    while len(frames) < levels and min(frames[-1].shape[-2:]) >= 16:
        frames.append(F.interpolate(frames[-1], scale_factor=0.5, mode="bilinear", antialias=True))
    return [_normalise(frame) for frame in frames]


def _normalise(luma: Tensor, radius: int = 4) -> Tensor:
    centred = luma - window_mean(luma, radius)
    return centred / (window_mean(centred.square(), radius).sqrt() + _CONTRAST_FLOOR)


def _gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return gx, gy


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
