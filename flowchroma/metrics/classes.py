"""The functions' means over a data set, also over several processes."""

import torch
from torch import Tensor
from torchmetrics import Metric

from flowchroma.metrics.functional import epe, psnr


class _MeanOverFrames(Metric):
    """Mean of one figure a frame, in float64; not a number before the first."""

    full_state_update = False
    total: Tensor
    frames: Tensor

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("frames", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, figures: Tensor) -> None:
        self.total += figures.sum()
        self.frames += figures.numel()

    def compute(self) -> Tensor:
        """Return the mean, a scalar."""
        return self.total / self.frames


class MeanPSNR(_MeanOverFrames):
    """Mean of the frames' PSNR in dB; infinite as soon as one frame equals its target.

    Args:
        data_range: see `psnr`.
        **kwargs: torchmetrics' own.

    Example:
        >>> metric = MeanPSNR(data_range=1.0)
        >>> metric.update(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.1, dtype=torch.float64))
        >>> metric.compute()
        tensor(20., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = True

    def __init__(self, data_range: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add frames, (B, ...); see `psnr`."""
        self._add(psnr(prediction, target, self.data_range))


class EndPointError(_MeanOverFrames):
    """Mean of the frames' end-point error in pixels. Frames without a known pixel do not count.

    Args:
        **kwargs: torchmetrics' own.

    Example:
        >>> metric = EndPointError()
        >>> metric.update(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))
        >>> metric.compute()
        tensor(5., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = False

    def update(self, flow: Tensor, target: Tensor, mask: Tensor | None = None) -> None:
        """Add flows, (B, 2, H, W); see `epe`."""
        known = torch.ones(len(flow), dtype=torch.bool, device=flow.device)
        if mask is not None:
            known = (mask > 0).flatten(1).any(dim=1)
        self._add(epe(flow, target, mask)[known])
