"""The Frechet distance between two sets of features (Heusel et al. 2017)."""

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from flowchroma.errors import UserError


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Squared Frechet distance of two normal distributions, |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    Args:
        mean1: (D,).
        cov1: (D, D), symmetric, positive semidefinite; rank need not be full.
        mean2: (D,).
        cov2: the same as `cov1`.

    Returns:
        Scalar, float64, at least 0.

    Example:
        >>> frechet_distance(torch.zeros(2), torch.eye(2), torch.tensor([3.0, 0.0]), 4 * torch.eye(2))
        tensor(11., dtype=torch.float64)
    """
    mean1, cov1, mean2, cov2 = (value.double() for value in (mean1, cov1, mean2, cov2))
    # C1 C2 has the eigenvalues of H' C2 H with H H' = C1, which is symmetric: no root of a general matrix is needed.
    values, vectors = torch.linalg.eigh(cov1)
    half = vectors * values.clamp(min=0).sqrt()
    roots = torch.linalg.eigvalsh(half.mT @ cov2 @ half).clamp(min=0).sqrt()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()
    return distance.clamp(min=0)


class FID(FrechetInceptionDistance):
    """Frechet inception distance over a whole set, from features that were computed before; sums in float64.

    `size` is D, the number of features of an image.

    Example:
        >>> metric = FID(size=1)
        >>> metric.update(torch.tensor([[0.0], [2.0]]), real=True)
        >>> metric.update(torch.tensor([[3.0], [5.0]]), real=False)
        >>> metric.compute()
        tensor(9., dtype=torch.float64)
    """

    def __init__(self, size: int = 2048, **kwargs) -> None:
        given = nn.Identity()  # stands where torchmetrics expects the network
        given.num_features = size  # type: ignore[assignment]
        super().__init__(feature=given, **kwargs)

    def update(self, features: Tensor, real: bool) -> None:
        """Add features, (B, D), see `inception_features`, of real or of predicted frames."""
        super().update(features, real)

    def compute(self) -> Tensor:
        """Return the distance, a scalar, float64; a `UserError` for fewer than two samples on one side."""
        real = self._statistics("real", "real")
        return frechet_distance(*real, *self._statistics("fake", "predicted"))

    def _statistics(self, side: str, label: str) -> tuple[Tensor, Tensor]:
        """Mean and sample covariance of one side."""
        count = int(getattr(self, f"{side}_features_num_samples"))
        if count < 2:
            raise UserError(f"FID needs at least 2 {label} frames, not {count}: score a larger set or leave FID out")
        mean = getattr(self, f"{side}_features_sum") / count
        outer = getattr(self, f"{side}_features_cov_sum")
        return mean, (outer - count * torch.outer(mean, mean)) / (count - 1)
