"""Where a frame's time goes, how many operations that is, and how far from what the machine can do; beside peers.

    make bench                                                   # python benchmarks/stages.py
    python benchmarks/stages.py --film FILM --reference STILL --threads 2 --preset fast
    python benchmarks/stages.py --official DIR                   with programs of others, see below

Milliseconds are processor time of a frame, all threads together, while the memory of recent frames fills and when it is
full. Operations are those of convolutions and products of matrices: warps, sorting and the like count none. *Share* is
operations a second over the rate of a product of square matrices on as many threads, measured before and after.

DIR of `--official` holds a file for each program, NAME.py, whose `build(height, width)` gives a function that takes two
frames, (H, W, 3) uint8 each, and does what it does for the first of them.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from limits import DTYPES, convolution_rate, matrix_rate
from torch.utils.flop_counter import FlopCounterMode

from flowchroma import ops
from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers import Painter, painter, to_array, to_tensor
from flowchroma.data.made.sample import SampleFilm
from flowchroma.film import open_film, open_writer, read_reference

SIZES = {"full": 240, "fast": 112}
SPANS = {"memory filling": range(2, 20), "memory full": range(42, 50)}
COUNTED = 5  # frames of each span whose operations are counted: among so many one is kept
HEAD = ("stage", "ms", "GFLOP", "GFLOP/s", "share")


@dataclass
class Meter:
    """What is spent inside of functions, without what those that they call spend, if these are measured too."""

    read: Callable[[], float]
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    inner: list[float] = field(default_factory=lambda: [0.0])

    def wrapped(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function, measured."""

        def measured(*arguments: Any, **named: Any) -> Any:
            begin = self.read()
            self.inner.append(0.0)
            try:
                return function(*arguments, **named)
            finally:
                whole = self.read() - begin
                self.spent[name] += whole - self.inner.pop()
                self.inner[-1] += whole

        return measured


def stages(system: Any) -> list[tuple[Any, str, str]]:
    """Functions of the shipped networks, each with the stage that it belongs to."""
    flow, matcher = system.flow, system.matcher
    return [
        (painter, "rgb_to_luma", "luminance"), (painter, "shrink", "luminance"),
        (flow, "encode", "flow: encoders"), (flow, "start", "flow: first flow"),
        (flow.refiner, "forward", "flow: refiner"), (flow, "confidence", "flow: confidence"),
        (flow, "step", "flow: rest"),
        (matcher.embed, "forward", "matching: features"), (ops, "match_coarse_to_fine", "matching: search"),
        (ops, "patch_votes", "matching: votes"), (ops, "merge_votes", "matching: votes"),
        (matcher.refine, "forward", "matching: refinement"), (matcher, "match", "matching: rest"),
        (matcher, "encode_references", "recent frames"), (system.fusion, "fuse", "fusion"),
        (system, "advance", "carrying, remembering"), (painter, "lay_over", "enlarging, RGB"),
    ]  # fmt: skip


@contextmanager
def measured(meter: Meter, system: Any) -> Iterator[None]:
    """Measure the stages."""
    with ExitStack() as stack:
        for owner, name, stage in stages(system):
            if hasattr(owner, name):
                stack.enter_context(patch.object(owner, name, meter.wrapped(getattr(owner, name), stage)))
        yield


def times(film: Path, reference: Path | None, size: int) -> dict[str, dict[str, float]]:
    """Milliseconds of a frame by stage, for each span."""
    meter = Meter(time.process_time)
    system = load_system()
    found = {}
    with measured(meter, system), tempfile.TemporaryDirectory() as folder:
        opened = open_film(film)
        tool = started(system, opened, reference, size)
        frames = iter(opened)
        decode = meter.wrapped(lambda: next(frames, None), "decoding")
        with open_writer(Path(folder, "out.mp4"), like=opened) as writer:
            encode = meter.wrapped(writer.write, "encoding")
            for t in range(max(span.stop for span in SPANS.values())):
                if any(t == span.start for span in SPANS.values()):
                    meter.spent.clear()
                frame = decode()
                if frame is None:
                    break
                encode(to_array(tool.paint(to_tensor(frame))))
                for name, span in SPANS.items():
                    if t == span.stop - 1:
                        found[name] = {stage: 1e3 * spent / len(span) for stage, spent in meter.spent.items()}
    return found


def operations(film: Path, reference: Path | None, size: int) -> dict[str, dict[str, float]]:
    """GFLOP of a frame by stage, for each span, of its first frames."""
    system = load_system()
    opened = open_film(film)
    tool = started(system, opened, reference, size)
    found: dict[str, dict[str, float]] = {name: {} for name in SPANS}
    for t, frame in zip(range(max(span.stop for span in SPANS.values())), opened, strict=False):
        inside = next((name for name, span in SPANS.items() if t in span[:COUNTED]), None)
        if inside is None:
            tool.paint(to_tensor(frame))
            continue
        with FlopCounterMode(display=False) as counter:
            meter = Meter(counter.get_total_flops)
            with measured(meter, system):
                tool.paint(to_tensor(frame))
        for stage, spent in meter.spent.items():
            found[inside][stage] = found[inside].get(stage, 0.0) + spent / 1e9 / COUNTED
    return found


def started(system: Any, film: Any, reference: Path | None, size: int) -> Painter:
    """A painter at the film's start; its first frame is the reference where there is no other."""
    tool = Painter(system, size)
    tool.start(to_tensor(read_reference(str(reference), film)[0] if reference else film.read([0])[0]))
    return tool


def table(spent: dict[str, float], counted: dict[str, float], rate: float) -> list[str]:
    """Lines in Markdown, the most expensive stage first, and the sum."""
    rows = [(stage, ms, counted.get(stage, 0.0)) for stage, ms in sorted(spent.items(), key=lambda item: -item[1])]
    rows.append(("all", sum(spent.values()), sum(counted.values())))
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for stage, ms, gflop in rows:
        speed = 1e3 * gflop / max(ms, 1e-9)
        cells = (f"{gflop:.2f}", f"{speed:.0f}", f"{1e9 * speed / rate:.2f}") if gflop >= 0.005 else ("", "", "")
        lines.append(f"| {stage} | {ms:.1f} | {' | '.join(cells)} |")
    return lines


def peers(film: Path, size: int, official: Path | None, flow: float) -> Iterator[str]:
    """Lines in Markdown: milliseconds of other programs for a frame of the size at which colour is computed."""
    opened = open_film(film)
    rgb = [painter.shrink(to_tensor(frame).float(), size).byte() for frame in opened.read(range(12))]
    lumas = [rgb_to_lab(frame)[:, :1] for frame in rgb]
    yield "| peer | ms | the flow here over it |\n|---|---|---|"
    dis = median_ms(ops.dis_flow, lumas)
    yield f"| OpenCV's DIS, medium | {dis:.1f} | {flow / dis:.2f} |"
    arrays = [np.ascontiguousarray(to_array(frame)) for frame in rgb]
    for file in sorted(official.glob("*.py")) if official else ():
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with patch.object(sys, "path", [str(official), *sys.path]):
            spec.loader.exec_module(module)
            taken = median_ms(module.build(*arrays[0].shape[:2]), arrays)
        yield f"| {file.stem} | {taken:.1f} | {flow / taken:.2f} |"


def median_ms(run: Callable[[Any, Any], Any], frames: Sequence[Any]) -> float:
    """Median processor time of a frame, given the one before it, too; the first two warm up."""
    taken = []
    for before, frame in pairwise(frames):
        begin = time.process_time()
        run(frame, before)
        taken.append(1e3 * (time.process_time() - begin))
    return statistics.median(taken[2:])


def write_film(path: Path, size: Sequence[int]) -> None:
    """A made film, long enough."""
    with open_writer(path) as writer:
        for frame in SampleFilm(0, SPANS["memory full"].stop, tuple(size)):
            writer.write(frame)


@torch.inference_mode()
def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=Path, help="of 50 frames or more; a made one by default")
    parser.add_argument("--reference", type=Path, help="the film's first frame by default")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 432), help="of the made film")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--preset", default="full", choices=SIZES)
    parser.add_argument("--official", type=Path, metavar="DIR", help="programs of others")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = SIZES[options.preset]
    with tempfile.TemporaryDirectory() as folder:
        film = options.film or Path(folder, "made.mp4")
        if options.film is None:
            write_film(film, options.size)
        rates = [matrix_rate("cpu", torch.float32)]
        spent, counted = times(film, options.reference, size), operations(film, options.reference, size)
        rates.append(matrix_rate("cpu", torch.float32))
        rate = statistics.mean(rates)
        others = {name: (matrix_rate("cpu", dtype), convolution_rate("cpu", dtype)) for name, dtype in DTYPES.items()}
        print(f"{options.threads} threads; GFLOP/s of matrices {' and '.join(f'{r / 1e9:.0f}' for r in rates)}", end="")
        print(*(f"; {name}: {a / 1e9:.0f}, of convolutions {b / 1e9:.0f}" for name, (a, b) in others.items()), sep="")
        for name, of_span in spent.items():
            print(f"\n{name}, frames {SPANS[name].start} to {SPANS[name].stop - 1}:\n")
            print("\n".join(table(of_span, counted[name], rate)))
        last = list(spent.values())[-1]
        flow = sum(ms for stage, ms in last.items() if stage.startswith("flow"))
        print("\n" + "\n".join(peers(film, size, options.official, flow)))


if __name__ == "__main__":
    main()
