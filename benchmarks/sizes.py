"""What a frame costs at the sizes of films: time, the part of it beside computing, and memory.

    python benchmarks/sizes.py FILM --heights 480 1080 2160 --sizes 240 480 --frames 12

The film is shrunk or enlarged to each height, and coloured on one thread from its first frame, each time in a process
of its own. Milliseconds of wall time a frame: computing alone; decoding, conversion and encoding alone; both, as
`flowchroma.colorize` does them beside each other; and that over the slower of the two. MB: the most that was resident.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import torch
from torch import Tensor

from flowchroma.app.colouring.background import in_background, prefetched
from flowchroma.app.colouring.frames import FrameReader
from flowchroma.app.systems import load_system
from flowchroma.colorizers.painter import GrayFrame, to_array
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.film import open_film, open_writer
from flowchroma.models.ready import ready_to_colour

_DEVICE = torch.device("cpu")


class Bench:
    """A film of some frames, of which the first is given."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.film = open_film(path)
        self.count = len(self.film)
        self.system = ready_to_colour(load_system())
        reader = FrameReader(self.film, strict=True, deep=False, device=_DEVICE)
        self.small, self.first = [], None
        for rgb in reader.read(0, self.count):
            self.first = rgb if self.first is None else self.first
            self.small.append(GrayFrame.of(rgb, size).small)

    def painter(self) -> ShotPainter:
        """One that has coloured the first frames, while which buffers are made."""
        assert self.first is not None
        painter = ShotPainter(self.system, self.size, 0, self.count, {0: self.first}, [], None, None)
        for luma in self.small[:2]:
            painter.colour(luma)
        return painter

    def rest(self, colour: Callable[[GrayFrame, int], Tensor]) -> None:
        """Read, convert, lay colours over and write, all beside what gives the colour."""
        with open_writer(self.path.with_name("out.mp4"), like=self.film, overwrite=True) as writer:

            @torch.inference_mode()
            def take(frames: Iterator[tuple[GrayFrame, Tensor]]) -> None:
                for frame, ab in frames:
                    writer.write(to_array(frame.painted(ab)))

            with prefetched(self._gray()) as frames, in_background(take) as give:
                for number, frame in enumerate(frames):
                    give((frame, colour(frame, number)))

    @torch.inference_mode()
    def _gray(self) -> Iterator[GrayFrame]:
        reader = FrameReader(self.film, strict=True, deep=False, device=_DEVICE)
        for rgb in reader.read(0, self.count):
            yield GrayFrame.of(rgb, self.size)


@torch.inference_mode()
def measure(path: Path, size: int) -> None:
    """Print one row."""
    torch.set_num_threads(1)
    bench = Bench(path, size)
    frames = bench.count - 2
    painter = bench.painter()
    started = time.perf_counter()
    colours = [painter.colour(luma)[0] for luma in bench.small[2:]]
    alone = (time.perf_counter() - started) / frames
    started = time.perf_counter()
    bench.rest(lambda frame, number: colours[max(0, number - 2)])
    beside = (time.perf_counter() - started) / bench.count
    painter = bench.painter()
    started = time.perf_counter()
    bench.rest(lambda frame, number: painter.colour(frame.small)[0] if number >= 2 else colours[0])
    both = (time.perf_counter() - started) / bench.count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slower = max(alone * frames / bench.count, beside)
    times = " | ".join(f"{1000 * seconds:.0f}" for seconds in (alone, beside, both))
    print(f"| {open_film(path).size[0]} | {size} | {times} | {both / slower:.2f} | {peak:.0f} |", flush=True)


def make(path: Path, source: str, height: int, frames: int) -> None:
    """Write a film of a height."""
    with open_writer(path, overwrite=True, crf=12) as writer:
        for rgb in islice(open_film(source), frames):
            width = 2 * round(rgb.shape[1] * height / rgb.shape[0] / 2)
            writer.write(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC))


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film")
    parser.add_argument("--heights", type=int, nargs="+", default=[480, 1080, 2160])
    parser.add_argument("--sizes", type=int, nargs="+", default=[240, 480])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        measure(Path(given.film), given.row)
        return
    print("| height | computed at | computing, ms | the rest, ms | both, ms | over the slower | MB |\n|" + "---|" * 7)
    with tempfile.TemporaryDirectory() as name:
        for height in given.heights:
            film = Path(name) / f"{height}.mp4"
            make(film, given.film, height, given.frames)
            for size in given.sizes:
                command = [sys.executable, __file__, str(film), "--row", str(size)]
                subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    main()
