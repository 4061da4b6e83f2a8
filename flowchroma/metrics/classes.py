"""torchmetrics classes over the functions: their means over a data set, also over several processes."""

from collections.abc import Callable

import torch
from torch import Tensor

from flowchroma.metrics.accumulate import Mean, MeanOfMasked, MeanOfPairs
from flowchroma.metrics.color_difference import ciede2000
from flowchroma.metrics.flow import ause, epe, fl_all
from flowchroma.metrics.image import AB_RANGE, colorfulness, psnr, psnr_ab, ssim
from flowchroma.metrics.perceptual import lpips_distance
from flowchroma.metrics.temporal import cdc, histograms, warp_error


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


class MeanPSNRab(Mean):
    """Mean of the images' `psnr_ab` in dB."""

    higher_is_better = True

    def __init__(self, data_range: float = AB_RANGE, **kwargs) -> None:
        super().__init__(**kwargs)
        self.data_range = data_range

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add chrominance, (B, 2, H, W), CIELAB units."""
        self._add(psnr_ab(prediction, target, self.data_range))


class MeanSSIM(MeanOfPairs):
    """Mean of the images' `ssim`."""

    higher_is_better = True
    _measure = staticmethod(ssim)


class MeanCIEDE2000(MeanOfPairs):
    """Mean of the images' `ciede2000`; its images are CIELAB."""

    higher_is_better = False
    _measure = staticmethod(ciede2000)


class MeanColorfulness(Mean):
    """Mean of the images' `colorfulness`."""

    def update(self, image: Tensor) -> None:
        """Add images, (B, 3, H, W); see `colorfulness`."""
        self._add(colorfulness(image))


class MeanCDC(Mean):
    """Mean of the clips' `cdc`. Clips of one frame do not count."""

    higher_is_better = False

    def update(self, clip: Tensor) -> None:
        """Add a whole clip: its frames, (T, 3, H, W), uint8, or their `histograms`, (T, 3, 256)."""
        if len(clip) > 1:
            self._add(cdc(histograms(clip) if clip.dtype == torch.uint8 else clip))


class MeanWarpError(MeanOfMasked):
    """Mean of the frames' `warp_error`. Frames without a pixel seen in both do not count."""

    higher_is_better = False

    def update(self, frame: Tensor, following: Tensor, flow: Tensor, mask: Tensor) -> None:  # type: ignore[override]
        """Add frames and the next ones; see `warp_error`."""
        self._add_known(warp_error(frame, following, flow, mask), mask)


class EndPointError(MeanOfMasked):
    """Mean of the flows' `epe` in pixels. Flows without a known pixel do not count."""

    higher_is_better = False
    _measure = staticmethod(epe)


class FlAll(MeanOfMasked):
    """Mean of the flows' `fl_all` in percent. Flows without a known pixel do not count."""

    higher_is_better = False
    _measure = staticmethod(fl_all)


class AUSE(MeanOfMasked):
    """Mean of the images' `ause`. Images without a known pixel do not count."""

    higher_is_better = False
    _measure = staticmethod(ause)


class LPIPS(Mean):
    """Mean of the images' `lpips_distance`."""

    higher_is_better = False

    def __init__(self, network: Callable[[Tensor, Tensor], Tensor], **kwargs) -> None:
        super().__init__(**kwargs)
        self.network = network

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add images, (B, 3, H, W); see `lpips_distance`."""
        self._add(lpips_distance(self.network, prediction, target))
