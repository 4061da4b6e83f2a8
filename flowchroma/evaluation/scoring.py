"""One clip, coloured by several methods in step and scored frame by frame; the original is judged once for all."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor

from flowchroma import metrics, ops
from flowchroma.color import rgb_to_lab
from flowchroma.errors import UserError
from flowchroma.evaluation.judges import Judges
from flowchroma.evaluation.predictions import Predictions
from flowchroma.evaluation.protocol import Protocol
from flowchroma.evaluation.thumbnails import Stills
from flowchroma.film import Film

TRUTH = "truth"


class Paints(Interface):
    """What is scored: a `Painter`, or `Predictions`. Frames are (1, 3, H, W) uint8 RGB."""

    def start(self, reference: Tensor) -> None:
        """Take a reference."""

    def observe(self, rgb: Tensor) -> None:
        """Take a frame whose colour is given."""

    def paint(self, rgb: Tensor) -> Tensor:
        """Colour the next frame."""


@dataclass
class Score:
    """What one method reached on one clip.

    Args:
        metrics: by key, over the clip.
        frames: "frame" and the figures of each scored frame, by key.
        seconds: per frame: "method", "metrics" (without networks), "networks".
        notices: what a reader of the figures should know.
        about: the method's parameters and weights.
        features: of Inception, (frames, 2048).
    """

    metrics: dict[str, float | None]
    frames: dict[str, list[float]]
    seconds: dict[str, float | None]
    notices: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Looked:
    """An original frame, and what all methods are judged by on it."""

    rgb: Tensor  # (1, 3, H, W), uint8
    lab: Tensor  # (1, 3, H, W)
    flow: Tensor | None  # (1, 2, H, W), from the frame before to this one, on its grid; None if that is not scored
    mask: Tensor | None  # (1, 1, H, W), bool: where that flow can be trusted


class Watch:
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


class Original:
    """Looks at the original's frames one after the other."""

    def __init__(self, device: torch.device) -> None:
        self.watch = Watch(device)
        self._luma: Tensor | None = None

    def skip(self) -> None:
        """Pass over a frame that is not scored."""
        self._luma = None

    def look(self, rgb: Tensor) -> Looked:
        """Take the next frame, (1, 3, H, W) uint8."""
        with self.watch:
            lab = rgb_to_lab(rgb)
            before, self._luma = self._luma, lab[:, :1]
            if before is None:
                return Looked(rgb, lab, None, None)
            flow, back = ops.dis_flow(before, self._luma), ops.dis_flow(self._luma, before)
            return Looked(rgb, lab, flow, ops.visible(flow, back))


class Tally:
    """Adds up one method's figures over a clip.

    Args:
        judges: the networks.
        device: where the frames are.
        truth: whether the original itself is tallied, which has no error.
    """

    def __init__(self, judges: Judges, device: torch.device, truth: bool = False) -> None:
        self.judges, self.truth = judges, truth
        self.painting, self.plain, self.learned = Watch(device), Watch(device), Watch(device)
        self.rows: list[dict[str, float]] = []
        self._cdc = metrics.CdcStream()
        self._before: Tensor | None = None
        self._features: list[Tensor] = []

    def skip(self) -> None:
        """Pass over a frame that is not scored."""
        self._before = None
        self._cdc.skip()

    def add(self, index: int, rgb: Tensor, original: Looked) -> None:
        """Score a frame, (1, 3, H, W) uint8."""
        with self.plain:
            row: dict[str, float] = {"frame": index, **({} if self.truth else _errors(rgb, original))}
            row["colorfulness"] = float(metrics.colorfulness(rgb))
            if self._before is not None and original.flow is not None and original.mask is not None:
                error = metrics.warp_error(self._before, rgb, original.flow, original.mask)
                row["warp_error"] = float(error)
            self._before = rgb
            self._cdc.add(metrics.histograms(rgb)[0])
        with self.learned:
            if not self.truth:
                row |= self.judges.distances(rgb, original.rgb)
            features = self.judges.features(rgb)
        if features is not None:
            self._features.append(features)
        self.rows.append(row)

    def score(self, original: "Score | None", looking: float) -> Score:
        """The clip's figures.

        Args:
            original: those of the original, None for the original itself.
            looking: seconds spent on the original, which all methods share.
        """
        keys = list(dict.fromkeys(key for row in self.rows for key in row))
        frames = {key: [row.get(key, math.nan) for row in self.rows] for key in keys}
        figures = {key: mean_of(values) for key, values in frames.items() if key != "frame"}
        figures["cdc"] = _known(self._cdc.value())
        if original is not None:
            figures |= _beside(figures, original.metrics)
        count = len(self.rows)
        seconds: dict[str, float | None] = {
            "method": None if self.truth else self.painting.seconds / count,
            "metrics": (self.plain.seconds + looking) / count,
            "networks": self.learned.seconds / count,
        }
        features = torch.cat(self._features).float().numpy() if self._features else None
        exact = sum(map(math.isinf, frames.get("psnr", [])))
        notices = (
            [f"{exact} of {count} frames equal the original and do not count in PSNR"] if 0 < exact < count else []
        )
        return Score(figures, frames, seconds, notices, features=features)


def score_clip(
    film: Film,
    painters: Mapping[str, Paints],
    protocol: Protocol,
    judges: Judges,
    device: torch.device,
    stills: Stills | None = None,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Score | UserError]:
    """Colour a clip with every method, and score it.

    Args:
        film: the original.
        painters: what is scored, by name.
        protocol: how.
        judges: the networks that judge.
        device: where all of it happens.
        stills: keeps pictures of some frames.
        progress: told after every frame.

    Returns:
        A method's score, or why it has none; and the original's, under `TRUTH`.

    Raises:
        UserError: the original cannot be read, is too small, or has nothing to score.
    """
    scored = _frames_to_score(film, protocol)
    original, truth = Original(device), Tally(judges, device, truth=True)
    tallies = {name: Tally(judges, device) for name in painters}
    lost: dict[str, Score | UserError] = {}
    for index, rgb in enumerate(protocol.originals(film, device)):
        if protocol.is_reference(index):
            for tally in (truth, *tallies.values()):
                tally.skip()
            original.skip()
        looked = None if protocol.is_reference(index) else original.look(rgb)
        for name in tallies.keys() - lost.keys():
            try:
                painted = _next(painters[name], rgb, tallies[name], looked is None)
            except UserError as error:
                lost[name] = error
                continue
            if looked is not None and painted is not None:
                tallies[name].add(index, painted, looked)
                if stills:
                    stills.offer(film.name, index, scored, name, painted, looked)
        if looked is not None:
            truth.add(index, rgb, looked)
        progress()
    if len(truth.rows) != len(scored):
        raise UserError(f"{film.name} ended after {len(truth.rows)} of {len(scored)} frames to score: mend the film")
    own = truth.score(None, original.watch.seconds)
    done = {name: tally.score(own, original.watch.seconds) for name, tally in tallies.items() if name not in lost}
    for name, score in done.items():
        score.notices = [f"{film.name} by {name}: {line}" for line in score.notices]
        score.notices += getattr(painters[name], "notices", list)()
        if isinstance(painters[name], Predictions):
            score.seconds["method"] = None  # reading somebody's frames says nothing of the method
    return {**lost, **done, TRUTH: own}


def _frames_to_score(film: Film, protocol: Protocol) -> list[int]:
    """The numbers of the frames that are scored.

    Raises:
        UserError: there are none, or they are too small.
    """
    if not (scored := protocol.scored(len(film))):
        raise UserError(f"{film.name} has {len(film)} frames, none of them to score: the reference is not scored")
    height, width = protocol.resize or film.size
    if min(height, width) < metrics.SMALLEST:
        least = f"{metrics.SMALLEST} x {metrics.SMALLEST}"
        raise UserError(f"{film.name} has frames of {width} x {height}, and SSIM needs {least} at least: leave it out")
    return scored


def _next(painter: Paints, rgb: Tensor, tally: Tally, reference: bool) -> Tensor | None:
    """The method's frame; None where the frame is given as the reference.

    Raises:
        UserError: there is none, or it has another size.
    """
    if reference:
        painter.start(rgb)
        painter.observe(rgb)
        return None
    with tally.painting:
        painted = painter.paint(rgb)
    if painted.shape != rgb.shape:
        raise UserError(f"a frame has {tuple(painted.shape[-2:])} pixels, and the original {tuple(rgb.shape[-2:])}")
    return painted


def _errors(rgb: Tensor, original: Looked) -> dict[str, float]:
    lab = rgb_to_lab(rgb)
    return {
        "psnr": float(metrics.psnr(rgb, original.rgb, data_range=255)),
        "ssim": float(metrics.ssim(rgb, original.rgb)),
        "psnr_ab": float(metrics.psnr_ab(lab[:, 1:], original.lab[:, 1:])),
        "ciede2000": float(metrics.ciede2000(lab, original.lab)),
    }


def _beside(figures: Mapping[str, float | None], original: Mapping[str, float | None]) -> dict[str, float | None]:
    """What is measured against the original's own figures."""
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


def _known(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
