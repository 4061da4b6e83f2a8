"""One clip, coloured by several methods in step and scored frame by frame; the original is prepared once for all."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol as Interface

import torch
from torch import Tensor

from flowchroma import metrics
from flowchroma.errors import UserError
from flowchroma.evaluation.clip_metrics import ClipMetrics, OriginalFrame, OriginalFrames, Score
from flowchroma.evaluation.perceptual_networks import PerceptualNetworks
from flowchroma.evaluation.predictions import Predictions
from flowchroma.evaluation.protocol import Protocol
from flowchroma.evaluation.stills import save_still
from flowchroma.film import Film

TRUTH = "truth"


class FrameColorizer(Interface):
    """What is scored: a `Painter`, `KeyframedSystem` or `Predictions`. Frames are (1, 3, H, W) uint8 RGB.

    One with a method `close` has it called when its clip is over.
    """

    def start(self, *references: Tensor) -> None:
        """Take references; with keyframes, all of these."""

    def observe(self, rgb: Tensor) -> None:
        """Take a frame whose colour is given."""

    def paint(self, rgb: Tensor) -> Tensor:
        """Colour the next frame."""


def score_clip(
    film: Film,
    painters: Mapping[str, FrameColorizer],
    protocol: Protocol,
    networks: PerceptualNetworks,
    device: torch.device,
    stills: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Score | UserError]:
    """Colour a clip with every method, and score it by the protocol.

    `stills` is a folder for pictures of some frames; `progress` is called after each.

    Returns:
        Each painter's score, or why it has none, by name; and the original's own, under `TRUTH`.

    Raises:
        UserError: the original cannot be read, is too small, or has nothing to score.
    """
    try:
        return _score_clip(film, painters, protocol, networks, device, stills, progress)
    finally:
        for painter in painters.values():
            getattr(painter, "close", lambda: None)()


def _score_clip(
    film: Film,
    painters: Mapping[str, FrameColorizer],
    protocol: Protocol,
    networks: PerceptualNetworks,
    device: torch.device,
    stills: Path | None,
    progress: Callable[[], None],
) -> dict[str, Score | UserError]:
    scored = _frames_to_score(film, protocol)
    given = protocol.given(film)
    originals, truth = OriginalFrames(device), ClipMetrics(networks, device, truth=True)
    methods = {name: _Method(painter, ClipMetrics(networks, device)) for name, painter in painters.items()}
    if protocol.keyframes is not None:
        keyframes = [protocol.prepare(rgb, device) for rgb in film.read(given)]
        for method in methods.values():
            method.start(keyframes)
    for index, rgb in enumerate(protocol.originals(film, device)):
        original = originals.prepare(rgb, scored=index not in given)
        truth.update(index, rgb, original)
        for name, method in methods.items():
            painted = method.take(index, rgb, original)
            if stills and painted is not None and original is not None:
                save_still(stills / film.name, index, scored, name, painted, original)
        progress()
    if len(truth.rows) != len(scored):
        raise UserError(f"{film.name} ended after {len(truth.rows)} of {len(scored)} frames to score: mend the film")
    seconds = originals.stopwatch.seconds
    own = truth.compute(None, seconds)
    return {name: m.result(f"{film.name} by {name}", own, seconds) for name, m in methods.items()} | {TRUTH: own}


class _Method:
    """A method that colours one clip, until it fails."""

    def __init__(self, painter: FrameColorizer, clip_metrics: ClipMetrics) -> None:
        self.painter, self.metrics = painter, clip_metrics
        self.error: UserError | None = None
        self._started = False

    def start(self, keyframes: Sequence[Tensor]) -> None:
        """Take all keyframes before the clip begins; else each frame whose colour is given starts it anew."""
        self._started = True
        try:
            self.painter.start(*keyframes)
        except UserError as error:
            self.error = error

    def take(self, index: int, rgb: Tensor, original: OriginalFrame | None) -> Tensor | None:
        """Colour and score a frame, or observe it as given in colour, where there is no original to compare it with."""
        if self.error is not None:
            return None
        try:
            painted = self._given(rgb) if original is None else self._paint(rgb)
        except UserError as error:
            self.error = error
            return None
        self.metrics.update(index, painted, original)
        return painted

    def result(self, label: str, original: Score, shared_seconds: float) -> Score | UserError:
        """The clip's score, or why there is none."""
        if self.error is not None:
            return self.error
        score = self.metrics.compute(original, shared_seconds)
        score.notices = [f"{label}: {line}" for line in score.notices] + getattr(self.painter, "notices", list)()
        if isinstance(self.painter, Predictions):
            score.seconds["method"] = None  # reading somebody's frames says nothing of the method
        return score

    def _given(self, rgb: Tensor) -> Tensor:
        if self._started:
            with self.metrics.method_time:  # the way back from the next keyframe is gone here
                self.painter.observe(rgb)
        else:
            self.painter.start(rgb)
            self.painter.observe(rgb)
        return rgb

    def _paint(self, rgb: Tensor) -> Tensor:
        with self.metrics.method_time:
            painted = self.painter.paint(rgb)
        if painted.shape != rgb.shape:
            size, wanted = tuple(painted.shape[-2:]), tuple(rgb.shape[-2:])
            raise UserError(f"a frame has {size} pixels, and the original {wanted}")
        return painted


def _frames_to_score(film: Film, protocol: Protocol) -> list[int]:
    """The numbers of the frames that are scored; a `UserError` where there are none, or they are too small."""
    if not (scored := protocol.scored(film)):
        given = "the reference is" if protocol.keyframes is None else "keyframes are"
        raise UserError(f"{film.name} has {len(film)} frames, none of them to score: {given} not scored")
    height, width = protocol.resize or film.size
    if min(height, width) < metrics.SSIM_MIN_SIDE:
        least = f"{metrics.SSIM_MIN_SIDE} x {metrics.SSIM_MIN_SIDE}"
        raise UserError(f"{film.name} has frames of {width} x {height}, and SSIM needs {least} at least: leave it out")
    return scored
