"""The mean of one figure an image, over a data set and over several processes."""

import torch
from torch import Tensor
from torchmetrics import Metric


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


class MeanOfPairs(Mean):
    """Mean of a measure of a prediction and its target."""

    @staticmethod
    def _measure(prediction: Tensor, target: Tensor, /) -> Tensor:
        raise NotImplementedError

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add images, (B, ...), in the units of the measure."""
        self._add(self._measure(prediction, target))


class MeanOfMasked(Mean):
    """Mean of a measure of two maps where they are known; images without a known pixel do not count."""

    @staticmethod
    def _measure(one: Tensor, other: Tensor, mask: Tensor | None, /) -> Tensor:
        raise NotImplementedError

    def update(self, one: Tensor, other: Tensor, mask: Tensor | None = None) -> None:
        """Add maps, (B, C, H, W), in the order of the measure, and where they are known, (B, 1, H, W)."""
        self._add_known(self._measure(one, other, mask), mask)

    def _add_known(self, figures: Tensor, mask: Tensor | None) -> None:
        # By the mask, not by the figure: a prediction that is not a number must not go unseen.
        self._add(figures if mask is None else figures[(mask > 0).flatten(1).any(dim=1)])
