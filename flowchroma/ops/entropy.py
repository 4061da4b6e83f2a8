"""Confidence from the spread of a distribution."""

import math

import torch
from torch import Tensor


def certainty(probabilities: Tensor, dim: int) -> Tensor:
    """One minus the normalised Shannon entropy, 1 - H(p) / ln n.

    Args:
        probabilities: non-negative, summing to 1 over `dim`.
        dim: the n outcomes.

    Returns:
        The same shape without `dim`, in [0, 1]: 1 where one outcome holds all, 0 where all n are alike.
    """
    p = probabilities.to(torch.promote_types(probabilities.dtype, torch.float32))
    entropy = -(p * p.clamp(min=1e-12).log()).sum(dim)
    return (1 - entropy / math.log(p.shape[dim])).clamp(0, 1)
