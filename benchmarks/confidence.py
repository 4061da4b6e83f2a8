"""How well each confidence in the flow ranks its errors: the table in docs/confidence.md.

    python benchmarks/confidence.py --clips DAVIS/JPEGImages/240p/{blackswan,camel}   on real clips, and made ones
    python benchmarks/confidence.py --fit films/*.mp4                                   refit the scale of Photometric

Colour error is |ab of the frame before, warped - true ab|, in CIELAB units. AUSE is 0 for the ranking that the error
itself gives; rho is Spearman's rank correlation of confidence and -error. Figures are means over frames, then clips.
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.app.systems import load_part
from flowchroma.color import rgb_to_lab
from flowchroma.data.made.sample import SampleFilm
from flowchroma.film import open_film
from flowchroma.metrics import ause
from flowchroma.metrics.flow import epe_map
from flowchroma.models.memflow import (
    Confidence,
    Evidence,
    FlowEstimator,
    ForwardBackward,
    MatchingEntropy,
    Photometric,
    UpsamplingEntropy,
)
from flowchroma.types import Flow


class Chance:
    """What nothing at all is worth."""

    def __call__(self, evidence: Evidence) -> Tensor:
        """See `Confidence`."""
        return torch.rand_like(evidence.luma)


class Jury:
    """Asks every confidence about every flow: their answers are the channels of one."""

    def __init__(self, members: dict[str, Confidence]) -> None:
        self.members = members
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def __call__(self, evidence: Evidence) -> Tensor:
        """See `Confidence`, of K channels."""
        answers = []
        for name, member in self.members.items():
            begin = time.process_time()
            answers.append(member(evidence))
            self.seconds[name].append(time.process_time() - begin)
        return torch.cat(answers, dim=1)


class Judged(NamedTuple):
    """A frame that was reached by a flow."""

    index: int
    flow: Flow
    confidences: Tensor  # (1, K, H, W)
    error: Tensor  # (1, 1, H, W), of colour carried by one frame
    chained: Tensor  # (1, 1, H, W), of colour carried from the first frame


MEMBERS: dict[str, Confidence] = {
    "chance": Chance(),
    "UpsamplingEntropy": UpsamplingEntropy(),
    "MatchingEntropy": MatchingEntropy(),
    "ForwardBackward": ForwardBackward(),
    "ForwardBackward, opposite=null": ForwardBackward(None),
    "Photometric": Photometric(),
}


def lab_frames(frames: Iterable[np.ndarray], short: int = 240) -> Iterator[Tensor]:
    """Frames as (1, 3, H, W), CIELAB, shrunk to a short side."""
    for frame in frames:
        rgb = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
        ratio = short / min(rgb.shape[-2:])
        if ratio < 1:
            size = [round(side * ratio) for side in rgb.shape[-2:]]
            rgb = F.interpolate(rgb, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        yield rgb_to_lab(rgb)


def judged(network: FlowEstimator, frames: Iterable[Tensor]) -> Iterator[Judged]:
    """Stream a film and carry its colour, by one frame and from the first."""
    state, before, chained = None, None, None
    for index, lab in enumerate(frames):
        luma, ab = lab[:, :1], lab[:, 1:]
        flow, state = network.step(luma, state)
        if flow is None or before is None or chained is None:
            chained = ab
        else:
            chained = ops.backward_warp(chained, flow.colour_flow)
            once = ops.backward_warp(before, flow.colour_flow)
            trusted = flow.confidence * ops.points_inside(flow.colour_flow)
            errors = [torch.linalg.vector_norm(x - ab, dim=1, keepdim=True) for x in (once, chained)]
            yield Judged(index, flow, trusted, errors[0], errors[1])
        before = ab


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's, ties in the order in which they stand."""
    ranks = torch.stack([x.flatten().argsort().argsort().double() for x in (first, second)])
    return float(torch.corrcoef(ranks)[0, 1])


def scores(network: FlowEstimator, clips: Sequence[str], films: int, every: int) -> dict[str, dict[str, float]]:
    """The table: figures by name of the confidence."""
    jury = Jury(MEMBERS)
    network.confidence = jury
    table: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(films):
        film = SampleFilm(seed, 12, split="val")
        for frame in judged(network, lab_frames(film)):
            if frame.index % every == 0:
                true = film.read_flow([frame.index])[0]
                flows = {"colour_flow": frame.flow.colour_flow, "motion": frame.flow.flow}
                errors = {name: epe_map(flow, true) for name, flow in flows.items()}
                for name, confidence in zip(MEMBERS, frame.confidences.split(1, dim=1), strict=True):
                    for of, error in errors.items():
                        table[name][f"EPE of the {of}, AUSE"].append(float(ause(error, confidence)))
    jury.seconds.clear()
    for clip in clips:
        of_clip: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for frame in judged(network, lab_frames(open_film(clip))):
            if frame.index % every == 0:
                for name, confidence in zip(MEMBERS, frame.confidences.split(1, dim=1), strict=True):
                    of_clip[name]["colour, AUSE"].append(float(ause(frame.error, confidence)))
                    of_clip[name]["colour, rho"].append(rank_correlation(confidence, -frame.error))
                    of_clip[name]["chained, AUSE"].append(float(ause(frame.chained, confidence)))
        for name, figures in of_clip.items():
            for figure, values in figures.items():
                table[name][figure].append(float(np.mean(values)))
    means = {name: {figure: float(np.mean(v)) for figure, v in figures.items()} for name, figures in table.items()}
    for name, seconds in jury.seconds.items():
        means[name]["ms"] = 1000 * float(np.median(seconds))
    return means


def fitted_scale(network: FlowEstimator, clips: Sequence[str], films: int, every: int) -> float:
    """Scale of Photometric whose exp(-d / scale) is nearest to exp(-error / 10); made and real films count alike."""
    unit = Photometric(scale=1000.0)  # the logarithm gives the difference back
    network.confidence = unit
    made = [lab_frames(SampleFilm(seed, 12, split="train")) for seed in range(films)]
    real = [lab_frames(open_film(clip)) for clip in clips]
    sets = []
    for group in (made, real):
        pairs = [
            (-unit.scale * frame.confidences.clamp(min=1e-9).log()[..., ::4, ::4], frame.error[..., ::4, ::4])
            for film in group
            for frame in judged(network, film)
            if frame.index % every == 0 and frame.index
        ]
        differences, errors = (torch.cat([x.flatten() for x in side]) for side in zip(*pairs, strict=True))
        within = differences < 1000  # outside the frame there is none
        sets.append((differences[within], torch.exp(-errors[within] / 10)))
    scales = [4 * 1.02**k for k in range(130)]
    return min(scales, key=lambda s: sum(float((torch.exp(-d / s) - e).square().mean()) for d, e in sets))


def print_markdown(table: dict[str, dict[str, float]]) -> None:
    """Print the table as Markdown."""
    figures = list(dict.fromkeys(figure for row in table.values() for figure in row))
    print("| confidence | " + " | ".join(figures) + " |")
    print("|---" * (len(figures) + 1) + "|")
    for name, row in table.items():
        cells = [f"{row.get(figure, math.nan):.{1 if figure == 'ms' else 3}f}" for figure in figures]
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description="Compare confidences in MemFlow's flow.")
    parser.add_argument("--clips", nargs="*", default=[], metavar="FILM", help="real films that nothing was fitted to")
    parser.add_argument("--films", type=int, default=8, help="made films, unseen in training; of training for --fit")
    parser.add_argument("--every", type=int, default=3, help="score each so-manieth frame; all are streamed")
    parser.add_argument("--checkpoint", help="run whose flow network is judged; the shipped one by default")
    parser.add_argument("--fit", nargs="*", metavar="FILM", help="fit the scale of Photometric to these films instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    network = load_part("flow", options.checkpoint)
    assert isinstance(network, FlowEstimator)
    if options.fit is None:
        print_markdown(scores(network, options.clips, options.films, options.every))
    else:
        print(f"scale {fitted_scale(network, options.fit, options.films, options.every):.1f}")


if __name__ == "__main__":
    main()
