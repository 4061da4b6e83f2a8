"""End-point error of the flow on made films that nothing was trained on, beside flows without learning.

    python benchmarks/flow.py                            the shipped network, at 128 x 128 and 224 x 224
    python benchmarks/flow.py --checkpoint outputs/memflow/RUN
    python benchmarks/flow.py --time                     milliseconds a frame at 240 x 432, on two threads

Figures are means over all pixels, hidden ones included, in pixels. *Edge*: the true flow tears by more than 0.7 pixels
within 3; *hidden*: the point was covered or outside the frame before; *inner*: the rest. Time is CPU time of a frame,
with `--time` that on the clock: nothing else should run.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.app.systems import load_part
from flowchroma.color import rgb_to_lab
from flowchroma.data.made.sample import SampleFilm
from flowchroma.metrics.flow import epe_map
from flowchroma.models.memflow import FlowEstimator

Method = Callable[[Tensor, Tensor], Tensor]


class Streamed:
    """The network, fed with a film frame by frame."""

    def __init__(self, network: FlowEstimator) -> None:
        self.network, self.state = network, None

    def __call__(self, luma: Tensor, previous: Tensor) -> Tensor:
        """Flow of a frame to the one before, which it has seen unless the film begins; 0 where it sees a cut."""
        height, width = luma.shape[-2:]
        if self.state is None or not torch.equal(self.state.pyramid.luma[..., :height, :width], previous):
            _, self.state = self.network.step(previous, None)
        found, self.state = self.network.step(luma, self.state)
        return luma.new_zeros(1, 2, height, width) if found is None else found.flow


def pairs(film: SampleFilm) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Luminance of a frame and of the one before, the exact flow, and what of it is visible."""
    frames = [torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255 for frame in film]
    lumas = [rgb_to_lab(frame)[:, :1].contiguous() for frame in frames]
    flows, visible = film.read_flow(range(len(film)))
    for t in range(1, len(film)):
        yield lumas[t], lumas[t - 1], flows[t : t + 1], visible[t : t + 1]


def zones(flow: Tensor, visible: Tensor) -> dict[str, Tensor]:
    """Where pixels lie: masks (1, 1, H, W)."""
    tear = (F.max_pool2d(flow, 7, 1, 3) + F.max_pool2d(-flow, 7, 1, 3)).amax(dim=1, keepdim=True) > 0.7
    return {
        "all": torch.ones_like(visible),
        "inner": visible & ~tear,
        "edge": visible & tear,
        "hidden": ~visible,
    }


def scores(methods: dict[str, Method], size: int, films: int, frames: int) -> dict[str, dict[str, float]]:
    """Figures by method."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    counts: dict[str, float] = defaultdict(float)
    seconds: dict[str, list[float]] = defaultdict(list)
    for seed in range(films):
        for luma, previous, true, visible in pairs(SampleFilm(seed, frames, (size, size), "val")):
            where = zones(true, visible)
            for zone, mask in where.items():
                counts[zone] += float(mask.sum())
            for name, method in methods.items():
                begin = time.process_time()
                found = method(luma, previous)
                seconds[name].append(time.process_time() - begin)
                error = epe_map(found, true)
                for zone, mask in where.items():
                    sums[name][zone] += float(error[mask].sum())
    table = {name: {zone: total / counts[zone] for zone, total in found.items()} for name, found in sums.items()}
    for name, found in table.items():
        found["ms"] = 1000 * statistics.median(seconds[name])
    return table


def timed(method: Method, size: tuple[int, int], frames: int = 80) -> list[float]:
    """Milliseconds of every frame of a film but the first ten, the fastest first."""
    taken = []
    for luma, previous, _, _ in pairs(SampleFilm(0, frames, size, "val")):
        begin = time.perf_counter()
        method(luma, previous)
        taken.append(1000 * (time.perf_counter() - begin))
    return sorted(taken[10:])


@torch.inference_mode()
def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description="End-point error on unseen made films.")
    parser.add_argument("--size", type=int, nargs="+", default=[128, 224])
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--checkpoint", help="run whose flow network is judged; the shipped one by default")
    parser.add_argument("--time", action="store_true", help="of a frame at 240 x 432, in place of the errors")
    parser.add_argument("--threads", type=int, default=2, help="with --time")
    options = parser.parse_args()
    torch.set_num_threads(options.threads if options.time else 1)
    network = load_part("flow", options.checkpoint)
    assert isinstance(network, FlowEstimator)
    methods: dict[str, Method] = {
        "no motion": lambda luma, _: luma.new_zeros(1, 2, *luma.shape[-2:]),
        "dominant motion": ops.dominant_motion,
        "Lucas-Kanade": ops.lucas_kanade,
        "OpenCV's DIS": ops.dis_flow,
        "the network": Streamed(network),
    }
    if options.time:
        for name in ("the network", "OpenCV's DIS"):
            taken = timed(methods[name], (240, 432))
            print(f"{name}: median {statistics.median(taken):.1f} ms a frame, fastest {taken[0]:.1f} ms")
        return
    for size in options.size:
        table = scores(methods, size, options.films, options.frames)
        print(f"\n| {size} x {size} | " + " | ".join(next(iter(table.values()))) + " |\n|---|---|---|---|---|---|")
        for name, row in table.items():
            print(f"| {name} | " + " | ".join(f"{v:.1f}" if k == "ms" else f"{v:.3f}" for k, v in row.items()) + " |")


if __name__ == "__main__":
    main()
