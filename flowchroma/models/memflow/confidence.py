"""Confidence in a flow, in several forms that a config chooses from; docs/confidence.md compares them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops

_LUCAS_KANADE = partial(ops.lucas_kanade, finest=2)


class Evidence(NamedTuple):
    """A flow, and what it was estimated from, on the padded frame."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100], of frame t
    previous: Tensor  # (B, 1, H, W), of frame t - 1
    flow: Tensor  # (B, 2, H, W), pixels, from t back to t - 1, along which colour is carried
    coarse: Tensor  # (B, 2, h, w), the same in coarse pixels, before it was enlarged
    weights: Tensor  # (B, n, f, f, H / f, W / f): weights of n neighbours, by which the flow was enlarged f times
    correlation: ops.Correlation  # of both frames' features
    opposite: Callable[[int], Tensor]  # the network's flow from t - 1 to t, (B, 2, H, W), after so many iterations


class Confidence(Protocol):
    """Estimates how far a flow can be trusted."""

    def __call__(self, evidence: Evidence) -> Tensor:
        """Confidence of every pixel: (B, 1, H, W), in [0, 1], 1 where the flow is right."""


class Photometric:
    """How well the frame before, warped along the flow, matches this frame's luminance.

    exp(-d / scale), where d is the mean of |difference| over each window, averaged over the windows, after one gain and
    offset for the whole frame compensated a change of exposure. Uncovered ground, a wrong flow and blur, which all
    spoil carried colour, all raise d.

    Args:
        scale: in units of L. The default makes the confidence estimate exp(-error / 10), the error being that of the
            carried colour in CIELAB units; it was fitted to made films and to Apache-licensed ones.
        radii: of the square windows.
    """

    def __init__(self, scale: float = 15.0, radii: Sequence[int] = (1, 6)) -> None:
        self.scale, self.radii = scale, tuple(radii)

    def __call__(self, evidence: Evidence) -> Tensor:
        """(B, 1, H, W), in [0, 1]."""
        warped = ops.backward_warp(evidence.previous, evidence.flow)
        luma = evidence.luma.to(warped.dtype)
        difference = (luma - ops.light_fitted(warped, luma)).abs()
        means = torch.stack([ops.window_mean(difference, radius) for radius in self.radii]).mean(0)
        return torch.exp(-means / self.scale).clamp(max=1)


class ForwardBackward:
    """Forward-backward consistency: exp(-|flow + back|^2 / bound), the bound as in `ops.forward_backward_error`.

    Args:
        opposite: gives the flow from one luminance to another, of any size; with None the network estimates it, which
            doubles its cost.
        iterations: of the network then, at most those of the forward flow.
    """

    def __init__(
        self,
        opposite: Callable[[Tensor, Tensor], Tensor] | None = _LUCAS_KANADE,
        iterations: int = 3,
    ) -> None:
        self.opposite, self.iterations = opposite, iterations

    def __call__(self, evidence: Evidence) -> Tensor:
        """(B, 1, H, W), in [0, 1]."""
        back = (
            evidence.opposite(self.iterations)
            if self.opposite is None
            else self.opposite(evidence.previous, evidence.luma)
        )
        error, bound = ops.forward_backward_error(evidence.flow, ops.resized(back, evidence.flow.shape[-2:]))
        return torch.exp(-error / bound)


class MatchingEntropy:
    """Certainty of each coarse position's match, among the positions around it.

    One minus the normalised entropy of a softmax over the window of correlations at its finest level, enlarged
    bilinearly.

    Args:
        temperature: of the softmax.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def __call__(self, evidence: Evidence) -> Tensor:
        """(B, 1, H, W), in [0, 1]."""
        coarse = evidence.coarse
        height, width = coarse.shape[-2:]
        lookup = evidence.correlation.lookup(ops.pixel_grid(height, width, like=coarse) + coarse)
        finest = lookup[:, : (2 * evidence.correlation.radius + 1) ** 2]
        certainty = ops.certainty(torch.softmax(finest / self.temperature, dim=1), dim=1)
        return F.interpolate(certainty[:, None], size=evidence.flow.shape[-2:], mode="bilinear")


class UpsamplingEntropy:
    """Certainty of the weights by which each pixel's flow is averaged from coarse ones: 1 - normalised entropy."""

    def __call__(self, evidence: Evidence) -> Tensor:
        """(B, 1, H, W), in [0, 1]."""
        certainty = ops.certainty(evidence.weights, dim=1)
        return certainty.permute(0, 3, 1, 4, 2).reshape(len(certainty), 1, *evidence.flow.shape[-2:])
