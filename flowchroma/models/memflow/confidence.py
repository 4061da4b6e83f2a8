"""How far a flow can be trusted: interchangeable answers, chosen by config. docs/confidence.md compares them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops

_QUICK = partial(ops.lucas_kanade, finest=2)


class Evidence(NamedTuple):
    """What is known of a flow once it is estimated, on the padded frame."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100], of frame t
    previous: Tensor  # (B, 1, H, W), of frame t - 1
    flow: Tensor  # (B, 2, H, W), pixels, from t back to t - 1: what colour is carried along
    coarse: Tensor  # (B, 2, h, w), the same in coarse pixels, before it was enlarged
    weights: Tensor  # (B, n, f, f, H / f, W / f): shares of n neighbours, which enlarged the flow f times to pixels
    correlation: ops.Correlation  # of both frames' features
    opposite: Callable[[int], Tensor]  # the network's flow from t - 1 to t, (B, 2, H, W), after so many iterations


class Confidence(Protocol):
    """Says how far a flow can be trusted."""

    def __call__(self, evidence: Evidence) -> Tensor:
        """Judge every pixel: (B, 1, H, W), in [0, 1], 1 where the flow is right."""


class Photometric:
    """How well the frame before, warped along the flow, explains this frame's luminance.

    exp(-d / scale), where d is the mean of |difference| over each window, averaged over the windows, after one gain and
    offset took out a change of light. It sees what all errors of carried colour have in common, whatever their cause:
    uncovered ground, a wrong flow, blur.

    Args:
        scale: in units of L. The default makes the confidence estimate exp(-error / 10), the error being that of the
            carried colour in CIELAB units; it was fitted to made films and to Apache-licensed ones.
        radii: of the square windows.
    """

    def __init__(self, scale: float = 15.0, radii: Sequence[int] = (1, 6)) -> None:
        self.scale, self.radii = scale, tuple(radii)

    def __call__(self, evidence: Evidence) -> Tensor:
        """See `Confidence`."""
        warped = ops.backward_warp(evidence.previous, evidence.flow)
        luma = evidence.luma.to(warped.dtype)
        difference = (luma - ops.light_fitted(warped, luma)).abs()
        means = torch.stack([ops.window_mean(difference, radius) for radius in self.radii]).mean(0)
        return torch.exp(-means / self.scale).clamp(max=1)


class ForwardBackward:
    """Whether an opposite flow leads back: exp(-|flow + back|^2 / bound), see `ops.forward_backward_error`.

    Args:
        opposite: gives the flow from one luminance to another, of any size; None lets the network look the other way
            round, which doubles its cost.
        iterations: of the network then, at most those of the forward flow.
    """

    def __init__(
        self,
        opposite: Callable[[Tensor, Tensor], Tensor] | None = _QUICK,
        iterations: int = 3,
    ) -> None:
        self.opposite, self.iterations = opposite, iterations

    def __call__(self, evidence: Evidence) -> Tensor:
        """See `Confidence`."""
        back = (
            evidence.opposite(self.iterations)
            if self.opposite is None
            else self.opposite(evidence.previous, evidence.luma)
        )
        error, bound = ops.forward_backward_error(evidence.flow, ops.resized(back, evidence.flow.shape[-2:]))
        return torch.exp(-error / bound)


class MatchingEntropy:
    """Certainty of where each coarse position belongs, among those around its match.

    One minus the normalised entropy of a softmax over the correlation's window, at its finest level, enlarged
    bilinearly.

    Args:
        temperature: of the softmax.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def __call__(self, evidence: Evidence) -> Tensor:
        """See `Confidence`."""
        coarse = evidence.coarse
        height, width = coarse.shape[-2:]
        found = evidence.correlation.lookup(ops.pixel_grid(height, width, like=coarse) + coarse)
        finest = found[:, : (2 * evidence.correlation.radius + 1) ** 2]
        sure = ops.certainty(torch.softmax(finest / self.temperature, dim=1), dim=1)
        return F.interpolate(sure[:, None], size=evidence.flow.shape[-2:], mode="bilinear")


class UpsamplingEntropy:
    """Certainty of the weights by which each pixel's flow is mixed from coarse ones (1 - normalised entropy)."""

    def __call__(self, evidence: Evidence) -> Tensor:
        """See `Confidence`."""
        sure = ops.certainty(evidence.weights, dim=1)
        return sure.permute(0, 3, 1, 4, 2).reshape(len(sure), 1, *evidence.flow.shape[-2:])
