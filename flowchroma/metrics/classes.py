"""The figures of validation as torchmetrics classes: their means over a data set, also over several processes."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from flowchroma.metrics.flow import ause, epe
from flowchroma.metrics.image import psnr


class Mean(Metric):
    """Mean of one figure an image, in float64; not a number before the first."""

    full_state_update = False
    is_differentiable = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, figures: Tensor) -> None:
        self.total += figures.sum()
        self.count += figures.numel()

    def compute(self) -> Tensor:
        """Return the mean, a scalar."""
        return self.total / self.count


class MeanPSNR(Mean):
    """Mean of the images' `psnr` in dB; infinite as soon as one image equals its target.

    Example:
        >>> metric = MeanPSNR(data_range=1.0)
        >>> metric.update(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.1, dtype=torch.float64))
        >>> metric.compute()
        tensor(20., dtype=torch.float64)
    """

    higher_is_better = True

    def __init__(self, data_range: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add images, (B, ...); see `psnr`."""
        self._add(psnr(prediction, target, self.data_range))


class RatioOfMeans(Mean):
    """Mean of one map divided by that of another, over all images."""

    def update(self, one: Tensor, other: Tensor) -> None:
        """Add maps of one shape."""
        self.total += one.double().sum()
        self.count += other.double().sum()


class MeanOfMasked(Mean):
    """Mean of a measure of two maps where they are known; images without a known pixel do not count."""

    higher_is_better = False
    _measure: ClassVar[Callable[..., Tensor]]

    def update(self, one: Tensor, other: Tensor, mask: Tensor | None = None) -> None:
        """Add maps, (B, C, H, W), in the order of the measure, and where they are known, (B, 1, H, W)."""
        figures = self._measure(one, other, mask)
        # By the mask, not by the figure: a prediction that is not a number must not go unseen.
        self._add(figures if mask is None else figures[(mask > 0).flatten(1).any(dim=1)])


class EndPointError(MeanOfMasked):
    """Mean of the flows' `epe` in pixels."""

    _measure = staticmethod(epe)


class AUSE(MeanOfMasked):
    """Mean of the images' `ause`."""

    _measure = staticmethod(ause)
