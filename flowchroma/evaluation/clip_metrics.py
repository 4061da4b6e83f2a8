"""The metrics of one clip: of each frame against the original, and over time."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from flowchroma import metrics, ops
from flowchroma.color import rgb_to_lab
from flowchroma.evaluation.perceptual_networks import PerceptualNetworks

_Figures = Mapping[str, float | None]


@dataclass
class Score:
    """One method's metrics of one clip."""

    metrics: dict[str, float | None]  # by key, over the clip
    frames: dict[str, list[float]]  # "frame" and the metrics of each scored frame, by key
    seconds: dict[str, float | None]  # a frame: "method", "metrics" (without networks), "networks"
    notices: list[str] = field(default_factory=list)  # what a reader of the metrics should know
    about: dict[str, Any] = field(default_factory=dict)  # the method's parameters and weights
    features: np.ndarray | None = None  # of Inception, (frames, 2048)


@dataclass(frozen=True)
class OriginalFrame:
    """An original frame, and what the metrics of all methods need of it."""

    rgb: Tensor  # (1, 3, H, W), uint8
    lab: Tensor  # (1, 3, H, W)
    flow: Tensor | None  # (1, 2, H, W), from the frame before to this one, on its grid; None if that is not scored
    mask: Tensor | None  # (1, 1, H, W), bool: where that flow can be trusted


class Stopwatch:
    """Adds up time, also of what a GPU is still at."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds, self._since = device, 0.0, 0.0

    def __enter__(self) -> None:
        self._since = self._now()

    def __exit__(self, *_: object) -> None:
        self.seconds += self._now() - self._since

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


class OriginalFrames:
    """Prepares the original's frames, one after the other."""

    def __init__(self, device: torch.device) -> None:
        self.stopwatch = Stopwatch(device)
        self._luma: Tensor | None = None

    def prepare(self, rgb: Tensor, scored: bool) -> OriginalFrame | None:
        """Take the next frame, (1, 3, H, W) uint8; None if it is not scored."""
        with self.stopwatch:
            if not scored:
                self._luma = None
                return None
            lab = rgb_to_lab(rgb)
            before, self._luma = self._luma, lab[:, :1]
            if before is None:
                return OriginalFrame(rgb, lab, None, None)
            flow, back = ops.dis_flow(before, self._luma), ops.dis_flow(self._luma, before)
            return OriginalFrame(rgb, lab, flow, ops.visible(flow, back))


class ClipMetrics:
    """One method's metrics over a clip, updated frame by frame.

    Args:
        networks: LPIPS and Inception.
        device: where the frames are.
        truth: whether this is the original itself, which has no error.
    """

    def __init__(self, networks: PerceptualNetworks, device: torch.device, truth: bool = False) -> None:
        self.networks, self.truth = networks, truth
        self.method_time, self.metrics_time, self.networks_time = (Stopwatch(device) for _ in range(3))
        self.rows: list[dict[str, float]] = []
        self._cdc = metrics.CdcStream()
        self._before: Tensor | None = None
        self._features: list[Tensor] = []

    def update(self, index: int, rgb: Tensor, original: OriginalFrame | None) -> None:
        """Score a frame, (1, 3, H, W) uint8; pass over it where there is no original to compare it with."""
        if original is None:
            self._before = None
            self._cdc.skip()
            return
        with self.metrics_time:
            row: dict[str, float] = {"frame": index, **({} if self.truth else _errors(rgb, original))}
            row["colorfulness"] = float(metrics.colorfulness(rgb))
            if self._before is not None and original.flow is not None and original.mask is not None:
                error = metrics.warp_error(self._before, rgb, original.flow, original.mask)
                row["warp_error"] = float(error)
            self._before = rgb
            self._cdc.add(metrics.histograms(rgb)[0])
        with self.networks_time:
            if not self.truth:
                row |= self.networks.distances(rgb, original.rgb)
            features = self.networks.features(rgb)
        if features is not None:
            self._features.append(features)
        self.rows.append(row)

    def compute(self, original: Score | None, shared_seconds: float) -> Score:
        """The clip's figures, by the original's own (None for these) and the time that was spent on it for all."""
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        frames = {key: [row.get(key, math.nan) for row in self.rows] for key in keys}
        figures = {key: mean_of(values) for key, values in frames.items() if key != "frame"}
        figures["cdc"] = mean_of([self._cdc.value()])
        if original is not None:
            figures |= _relative_to_original(figures, original.metrics)
        count = len(self.rows)
        seconds: dict[str, float | None] = {
            "method": None if self.truth else self.method_time.seconds / count,
            "metrics": (self.metrics_time.seconds + shared_seconds) / count,
            "networks": self.networks_time.seconds / count,
        }
        features = torch.cat(self._features).float().numpy() if self._features else None
        exact = sum(map(math.isinf, frames.get("psnr", [])))
        notice = f"{exact} of {count} frames equal the original and do not count in PSNR"
        return Score(figures, frames, seconds, [notice] if 0 < exact < count else [], features=features)


def _errors(rgb: Tensor, original: OriginalFrame) -> dict[str, float]:
    lab = rgb_to_lab(rgb)
    return {
        "psnr": float(metrics.psnr(rgb, original.rgb, data_range=255)),
        "ssim": float(metrics.ssim(rgb, original.rgb)),
        "psnr_ab": float(metrics.psnr_ab(lab[:, 1:], original.lab[:, 1:])),
        "ciede2000": float(metrics.ciede2000(lab, original.lab)),
    }


def _relative_to_original(figures: _Figures, original: _Figures) -> dict[str, float | None]:
    cdc, true_cdc = figures["cdc"], original["cdc"]
    colour, true_colour = figures["colorfulness"], original["colorfulness"]
    return {
        "cdc_distance": None if cdc is None or true_cdc is None else abs(cdc - true_cdc),
        "colorfulness_ratio": colour / true_colour if colour is not None and true_colour else None,
    }


def mean_of(values: Iterable[float | None]) -> float | None:
    """Mean of what is there; what is infinite counts only where all is, as one exact frame would hide all others."""
    there = [value for value in values if value is not None and not math.isnan(value)]
    there = [value for value in there if math.isfinite(value)] or there
    return sum(there) / len(there) if there else None
