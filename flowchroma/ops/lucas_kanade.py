"""Flow without learning, for a network to start from (Lucas and Kanade, IJCAI 1981; Bouguet, 2001, for the pyramid)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops import luminance
from flowchroma.ops.warp import backward_warp, rescale_flow
from flowchroma.ops.window import window_mean

_SMALLEST = 8  # pixels a side of the coarsest level
_DAMPING = 0.1  # of the squared gradient of normalised luminance; keeps flat regions still


@torch.no_grad()
def lucas_kanade(
    luma: luminance.Luma,
    previous: luminance.Luma,
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
        (B, 2, h, w), (x, y), in pixels of the finest level, of frame t back to t - 1, for `rescale_flow`.
        Without gradient.
    """
    now, then = luminance.Pyramid.of(luma), luminance.Pyramid.of(previous)
    with torch.autocast(now.luma.device.type, enabled=False):
        halvings = range(1, levels)
        coarsest = sum(all(side >= _SMALLEST * 2**level for side in now.luma.shape[-2:]) for level in halvings)
        flow = torch.zeros_like(now.at(2**coarsest)).expand(-1, 2, -1, -1)
        for level in range(coarsest, min(finest, coarsest) - 1, -1):
            frame, before = now.normalised(2**level), then.normalised(2**level)
            flow = rescale_flow(flow, frame.shape[-2:])
            for _ in range(iterations):
                step = _solved(luminance.normal_equations(frame, backward_warp(before, flow)), radius)
                flow = window_mean(flow + step, smoothing)
        return flow


@torch.no_grad()
def refine_flow(flow: Tensor, luma: luminance.Luma, previous: luminance.Luma) -> Tensor:
    """Correct a flow from luminance: one of `lucas_kanade`'s steps at half the size, one at the whole.

    The second step is solved for every square of four pixels, from all of their equations. Only the corrections are
    averaged over their neighbourhood, so that the flow keeps its edges.

    Args:
        flow: (B, 2, H, W), pixels, (x, y), of frame t back to t - 1; H and W even.
        luma: (B, 1, H, W), L in [0, 100], of frame t.
        previous: the same, of frame t - 1.

    Returns:
        The corrected flow, (B, 2, H, W). Without gradient.
    """
    with torch.autocast(flow.device.type, enabled=False):
        flow, now, then = luminance.at_least_float32(flow), luminance.Pyramid.of(luma), luminance.Pyramid.of(previous)
        size, frame = flow.shape[-2:], now.normalised(2)
        warped = backward_warp(then.normalised(2), rescale_flow(flow, frame.shape[-2:]))
        equations = luminance.normal_equations(frame, warped)
        flow = flow + rescale_flow(window_mean(_solved(equations, 2), 1), size)
        equations = luminance.normal_equations(now.normalised(1), backward_warp(then.normalised(1), flow))
        # In an eighth of the time that pooling takes a CPU.
        rows = equations[..., ::2, :] + equations[..., 1::2, :]
        step = _solved((rows[..., ::2] + rows[..., 1::2]) / 4, 1)
        return flow + F.interpolate(step, size=size, mode="bilinear")


def _solved(equations: Tensor, radius: int) -> Tensor:
    return luminance.solve(window_mean(equations, radius), _DAMPING)[0].clamp(-1.0, 1.0)
