"""Measures of optical flow and of a confidence in it, one figure a flow."""

import torch
from torch import Tensor

_STEPS = 50  # of AUSE: 2 percent of the pixels at a time


def epe(flow: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean end-point error of each flow, |flow - target| in pixels.

    Args:
        flow: (B, 2, H, W), pixels.
        target: the same.
        mask: (B, 1, H, W), true or above 0 where the target is known; everywhere by default.

    Returns:
        (B,), float64; not a number where the mask is empty.

    Example:
        >>> epe(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))
        tensor([5.], dtype=torch.float64)
    """
    return _mean_known(epe_map(flow, target), mask)


def epe_map(flow: Tensor, target: Tensor) -> Tensor:
    """End-point error of each pixel: (B, 2, H, W) and the same, in pixels, to (B, 1, H, W), float64."""
    return torch.linalg.vector_norm(flow.double() - target.double(), dim=1, keepdim=True)


def ause(error: Tensor, confidence: Tensor, mask: Tensor | None = None) -> Tensor:
    """Area under the sparsification error of each image (Ilg et al. 2018): how well a confidence ranks errors.

    Pixels are removed 2 % at a time, least confident first, and the mean error of those that remain is divided by that
    of all. The same curve with the pixels of largest error removed first, the best there is, is subtracted; the area
    between them is taken by trapezoids over the removed fractions 0, 0.02, ..., 0.98.

    Args:
        error: (B, 1, H, W), at least 0, of anything: end-point error, colour difference.
        confidence: (B, 1, H, W), larger where a smaller error is expected. Equal ones are removed row by row.
        mask: (B, 1, H, W), true or above 0 where the error is known; everywhere by default.

    Returns:
        (B,), float64: 0 for a confidence that ranks as the error does, and for an image without error; not a number
        where the mask is empty.

    Example:
        >>> error = torch.arange(100.0).view(1, 1, 10, 10)
        >>> ause(error, -error)
        tensor([0.], dtype=torch.float64)
    """
    known = torch.ones_like(error, dtype=torch.bool) if mask is None else mask > 0
    return torch.stack([_ause(e[k], c[k]) for e, c, k in zip(error.double(), confidence, known, strict=True)])


def _ause(error: Tensor, confidence: Tensor) -> Tensor:
    count = len(error)
    if not count:
        return error.new_tensor(torch.nan)
    if error.sum() == 0:
        return error.new_zeros(())
    removed = torch.arange(_STEPS, device=error.device) * count // _STEPS
    worst = _remaining(error.sort(descending=True, stable=True).values, removed)
    ranked = _remaining(error[confidence.sort(stable=True).indices], removed)
    return torch.trapezoid((ranked - worst) / error.mean(), dx=1 / _STEPS)


def _remaining(error: Tensor, removed: Tensor) -> Tensor:
    """Mean of `error` (N,) without its first `removed` (K,) values: (K,)."""
    sums = error.flip(0).cumsum(0).flip(0)
    return sums[removed] / (len(error) - removed)


def _mean_known(values: Tensor, mask: Tensor | None) -> Tensor:
    known = torch.ones_like(values, dtype=torch.bool) if mask is None else (mask > 0).expand_as(values)
    return torch.where(known, values, 0.0).sum(dim=(1, 2, 3)) / known.sum(dim=(1, 2, 3))
