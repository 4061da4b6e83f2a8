"""Flow without learning, for a network to start from (Lucas and Kanade, IJCAI 1981; Bouguet, 2001, for the pyramid)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops import light
from flowchroma.ops.warp import backward_warp, resized
from flowchroma.ops.window import window_mean

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
        pyramids = [_pyramid(light.at_least_float32(frame), levels) for frame in (luma, previous)]
        flow = torch.zeros_like(pyramids[0][-1]).expand(-1, 2, -1, -1)
        for frame, before in zip(*(reversed(p[min(finest, len(p) - 1) :]) for p in pyramids), strict=True):
            flow = resized(flow, frame.shape[-2:])
            frame, before = light.normalised(frame), light.normalised(before)
            for _ in range(iterations):
                flow = window_mean(flow + _step(frame, backward_warp(before, flow), radius), smoothing)
        return resized(flow, luma.shape[-2:])


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
        pyramids = [_pyramid(light.at_least_float32(image), levels) for image in (luma, previous)]
        flow = light.at_least_float32(flow)
        for frame, before in zip(*(reversed(p) for p in pyramids), strict=True):
            frame, before = light.normalised(frame), light.normalised(before)
            start = here = resized(flow, frame.shape[-2:])
            for _ in range(steps):
                here = here + window_mean(_step(frame, backward_warp(before, here), radius), smoothing)
            flow = flow + resized(here - start, flow.shape[-2:])
        return flow


def _step(frame: Tensor, warped: Tensor, radius: int) -> Tensor:
    return light.solved(window_mean(light.equations(frame, warped), radius), _DAMPING)[0].clamp(-1, 1)


def _pyramid(luma: Tensor, levels: int) -> list[Tensor]:
    frames = [luma]
    while len(frames) < levels and min(frames[-1].shape[-2:]) >= 16:
        frames.append(F.interpolate(frames[-1], scale_factor=0.5, mode="bilinear", antialias=True))
    return frames
