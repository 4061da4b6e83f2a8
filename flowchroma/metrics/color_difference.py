"""The CIEDE2000 colour difference (Sharma et al. 2005, equations 2 to 22), with weights kL = kC = kH = 1."""

import math

import torch
from torch import Tensor


def ciede2000(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean CIEDE2000 difference of each image; about 1 is just noticeable.

    Args:
        prediction: (B, 3, H, W), CIELAB: L in [0, 100], a and b in CIELAB units.
        target: the same.

    Returns:
        (B,), float64.

    Example:
        >>> one, other = torch.tensor([50.0, 2.5, 0.0]), torch.tensor([73.0, 25.0, -18.0])
        >>> ciede2000(one.view(1, 3, 1, 1), other.view(1, 3, 1, 1))
        tensor([27.1492], dtype=torch.float64)
    """
    return ciede2000_map(prediction, target).flatten(1).mean(dim=1, dtype=torch.float64)


def ciede2000_map(prediction: Tensor, target: Tensor) -> Tensor:
    """CIEDE2000 difference of each pixel.

    Args:
        prediction: (B, 3, H, W), CIELAB.
        target: the same.

    Returns:
        (B, 1, H, W), with the type of the input, float32 at least.

    Raises:
        ValueError: shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    kind = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    (l1, a1, b1), (l2, a2, b2) = prediction.to(kind).unbind(1), target.to(kind).unbind(1)

    chroma = (_length(a1, b1) + _length(a2, b2)) / 2
    stretch = 1.5 - 0.5 * _seventh(chroma)
    a1, a2 = stretch * a1, stretch * a2
    c1, c2 = _length(a1, b1), _length(a2, b2)
    turn, hue = _hues(torch.atan2(b1, a1), torch.atan2(b2, a2))

    dl, dc = l2 - l1, c2 - c1
    dh = 2 * (c1 * c2).sqrt() * torch.sin(turn / 2)
    luma, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    lightness = (luma - 50).square()
    dl = dl / (1 + 0.015 * lightness / (20 + lightness).sqrt())
    dc = dc / (1 + 0.045 * chroma)
    dh = dh / (1 + 0.015 * chroma * _hue_weight(hue))
    # Below exp(-50) the term is nothing, and denormal numbers are slow.
    blueness = torch.exp(-((hue - math.radians(275)) / math.radians(25)).square().clamp(max=50))
    rotation = -2 * _seventh(chroma) * torch.sin(math.radians(60) * blueness)
    squared = dl.square() + dc.square() + dh.square() + rotation * dc * dh
    return squared.clamp(min=0).sqrt()[:, None]  # rounding may leave a square just below 0


def _hue_weight(hue: Tensor) -> Tensor:
    """T of the paper, equation 15."""
    return (
        1
        - 0.17 * torch.cos(hue - math.radians(30))
        + 0.24 * torch.cos(2 * hue)
        + 0.32 * torch.cos(3 * hue + math.radians(6))
        - 0.20 * torch.cos(4 * hue - math.radians(63))
    )


def _length(a: Tensor, b: Tensor) -> Tensor:
    return (a * a + b * b).sqrt()  # several times faster than torch.hypot


def _seventh(chroma: Tensor) -> Tensor:
    """sqrt(C^7 / (C^7 + 25^7)), with C in units of 25 so that float32 holds its seventh power to the digit."""
    scaled = chroma / 25
    power = scaled.square() * scaled
    power = power.square() * scaled
    return (power / (power + 1)).sqrt()


def _hues(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The turn from the first hue to the second, in [-pi, pi], and the hue midway on that arc, in [0, 2 pi).

    Where a colour has no chroma neither matters: both end up multiplied by 0.
    """
    circle = 2 * math.pi
    # Hues from 0 on, as in the paper: it decides which arc is taken between opposite ones.
    first, second = _wrapped(first), _wrapped(second)
    turn = second - first
    turn = turn - circle * torch.round(turn / circle)
    return turn, _wrapped(first + turn / 2)


def _wrapped(angle: Tensor) -> Tensor:
    """An angle in [0, 2 pi); torch.remainder is slower."""
    return angle - 2 * math.pi * torch.floor(angle / (2 * math.pi))
