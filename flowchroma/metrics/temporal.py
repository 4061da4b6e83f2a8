"""Measures of change over time."""

import math
from collections import deque

import torch
from torch import Tensor

from flowchroma.ops import backward_warp

LAGS = (1, 2, 4)  # frames between the histograms that CDC compares


def histograms(frames: Tensor) -> Tensor:
    """Share of each value in each channel.

    Args:
        frames: (T, 3, H, W), uint8.

    Returns:
        (T, 3, 256), float64; each histogram sums to 1.

    Raises:
        ValueError: the frames are not 8-bit.
    """
    if frames.dtype != torch.uint8:
        raise ValueError(f"histograms of 256 bins need 8-bit frames, not {frames.dtype}")
    planes = frames.flatten(2).flatten(0, 1)
    first_bins = 256 * torch.arange(len(planes), device=frames.device)
    counts = torch.bincount((planes + first_bins[:, None]).flatten(), minlength=256 * len(planes))
    return counts.view(*frames.shape[:2], 256).double() / planes.shape[1]


def jensen_shannon(one: Tensor, other: Tensor) -> Tensor:
    """Jensen-Shannon divergence over the last dimension, natural logarithm, 0 log 0 = 0.

    Args:
        one: (..., N), distributions, each summing to 1.
        other: the same.

    Returns:
        (...), float64, in [0, log 2].

    Example:
        >>> jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
        tensor(0.6931, dtype=torch.float64)
    """
    one, other = one.double(), other.double()
    return _entropy((one + other) / 2) - (_entropy(one) + _entropy(other)) / 2


class CdcStream:
    """Colour distribution consistency of a clip (Liu et al. 2021, TCVC): how much its colours' histograms change.

    The Jensen-Shannon divergence of the histograms of frames i and i + t, mean over channels and i, then over t in
    {1, 2, 4}. Frames come one by one, in memory that does not grow with the clip.
    """

    def __init__(self) -> None:
        self._last: deque[Tensor | None] = deque(maxlen=max(LAGS))
        self._totals = dict.fromkeys(LAGS, 0.0)
        self._pairs = dict.fromkeys(LAGS, 0)

    def add(self, histogram: Tensor) -> None:
        """Add the next frame's histogram, (3, 256), see `histograms`."""
        for lag in LAGS:
            earlier = self._last[-lag] if lag <= len(self._last) else None
            if earlier is not None:
                self._totals[lag] += jensen_shannon(earlier, histogram).mean().item()
                self._pairs[lag] += 1
        self._last.append(histogram)

    def skip(self) -> None:
        """Pass over a frame that does not count; no pair is made with it."""
        self._last.append(None)

    def value(self) -> float:
        """Return the figure of the frames so far.

        Of a clip too short for a lag, the mean over the lags that it has; below two frames, not a number.
        """
        means = [self._totals[lag] / self._pairs[lag] for lag in LAGS if self._pairs[lag]]
        return sum(means) / len(means) if means else math.nan


def warp_error(frame: Tensor, following: Tensor, flow: Tensor, mask: Tensor) -> Tensor:
    """Squared colour difference to the next frame along the motion (Lai et al. 2018, equation 10).

    Args:
        frame: (B, 3, H, W), RGB, uint8, or floating in [0, 1].
        following: the next frame, the same.
        flow: (B, 2, H, W), pixels, from `frame` to `following`; of the original film, not of the coloured one.
        mask: (B, 1, H, W), true or above 0 where the pixel is seen in both frames, as `ops.visible` of the original's
            flows.

    Returns:
        (B,), float64, mean over the mask's pixels and all channels; not a number where the mask is empty.
    """
    difference = _unit(frame) - backward_warp(_unit(following), flow)
    seen = mask > 0
    # Not a product: a flow that is not a number outside the mask must not count.
    squares = torch.where(seen, difference.square().sum(dim=1, keepdim=True), 0.0)
    pixels = seen.flatten(1).sum(dim=1)
    return squares.flatten(1).sum(dim=1, dtype=torch.float64) / (pixels * frame.shape[1])


def _unit(frame: Tensor) -> Tensor:
    return frame if frame.is_floating_point() else frame.float() / 255


def _entropy(distribution: Tensor) -> Tensor:
    return -torch.special.xlogy(distribution, distribution).sum(dim=-1)
