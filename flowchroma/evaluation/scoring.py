"""One clip, coloured by several methods in step and scored frame by frame; the original is prepared once for all."""

from collections.abc import Callable, Mapping
from typing import Protocol as Interface

import torch
from torch import Tensor

from flowchroma import metrics
from flowchroma.errors import UserError
from flowchroma.evaluation.clip_metrics import ClipMetrics, OriginalFrame, OriginalFrames, Score
from flowchroma.evaluation.perceptual_networks import PerceptualNetworks
from flowchroma.evaluation.predictions import Predictions
from flowchroma.evaluation.protocol import Protocol
from flowchroma.evaluation.stills import StillWriter
from flowchroma.film import Film

TRUTH = "truth"


class FrameColorizer(Interface):
    """What is scored: a `Painter`, or `Predictions`. Frames are (1, 3, H, W) uint8 RGB."""

    def start(self, reference: Tensor) -> None:
        """Take a reference."""

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
    stills: StillWriter | None = None,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, Score | UserError]:
    """Colour a clip with every method, and score it.

    Args:
        film: the original.
        painters: what is scored, by name.
        protocol: which frames are scored, and at what size.
        networks: LPIPS and Inception.
        device: where all of it happens.
        stills: keeps pictures of some frames.
        progress: called after every frame.

    Returns:
        A method's score, or why it has none; and the original's, under `TRUTH`.

    Raises:
        UserError: the original cannot be read, is too small, or has nothing to score.
    """
    scored = _frames_to_score(film, protocol)
    originals, truth = OriginalFrames(device), ClipMetrics(networks, device, truth=True)
    methods = {name: _Method(painter, ClipMetrics(networks, device)) for name, painter in painters.items()}
    for index, rgb in enumerate(protocol.originals(film, device)):
        if protocol.is_reference(index):
            originals.skip()
            truth.skip()
            for method in methods.values():
                method.give(rgb)
        else:
            original = originals.prepare(rgb)
            truth.update(index, rgb, original)
            for name, method in methods.items():
                painted = method.colour(index, original)
                if stills and painted is not None:
                    stills.save_if_kept(film.name, index, scored, name, painted, original)
        progress()
    if len(truth.rows) != len(scored):
        raise UserError(f"{film.name} ended after {len(truth.rows)} of {len(scored)} frames to score: mend the film")
    own = truth.compute(None, originals.stopwatch.seconds)
    results = {
        name: m.result(f"{film.name} by {name}", own, originals.stopwatch.seconds) for name, m in methods.items()
    }
    return {**results, TRUTH: own}


class _Method:
    """A method that colours one clip, until it fails."""

    def __init__(self, painter: FrameColorizer, clip_metrics: ClipMetrics) -> None:
        self.painter, self.metrics = painter, clip_metrics
        self.error: UserError | None = None

    def give(self, reference: Tensor) -> None:
        """Let the method see a frame in colour, which is not scored."""
        self.metrics.skip()
        try:
            if self.error is None:
                self.painter.start(reference)
                self.painter.observe(reference)
        except UserError as error:
            self.error = error

    def colour(self, index: int, original: OriginalFrame) -> Tensor | None:
        """Colour a frame and score it; None once the method has failed."""
        try:
            painted = None if self.error else self._paint(original.rgb)
        except UserError as error:
            self.error, painted = error, None
        if painted is not None:
            self.metrics.update(index, painted, original)
        return painted

    def result(self, label: str, original: Score, shared_seconds: float) -> Score | UserError:
        """The clip's score, or why there is none."""
        if self.error:
            return self.error
        score = self.metrics.compute(original, shared_seconds)
        score.notices = [f"{label}: {line}" for line in score.notices] + getattr(self.painter, "notices", list)()
        if isinstance(self.painter, Predictions):
            score.seconds["method"] = None  # reading somebody's frames says nothing of the method
        return score

    def _paint(self, rgb: Tensor) -> Tensor:
        with self.metrics.method_time:
            painted = self.painter.paint(rgb)
        if painted.shape != rgb.shape:
            size, wanted = tuple(painted.shape[-2:]), tuple(rgb.shape[-2:])
            raise UserError(f"a frame has {size} pixels, and the original {wanted}")
        return painted


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
