"""What colouring from both sides costs beside colouring forward, and fifty references beside two.

    python benchmarks/both_directions.py FILM [FILM ...] --frames 60          # processor time of both directions
    python benchmarks/both_directions.py FILM --memory 100 3000               # peak memory of a short and a long film
    python benchmarks/both_directions.py FILM [FILM ...] --references 2 50    # time and peak memory

Each figure is of one `python -m flowchroma.colorize` as typed, on one thread: processor time in seconds and the most
memory that was resident, in MB. Films are joined to one shot after another; the long film repeats them, forward and
backward, at 64 x 96 pixels. Its keyframes, or its references, are frames of the films in colour.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from flowchroma.film import open_film, open_writer
from flowchroma.film.image_files import write_png

SMALL = (64, 96)  # (h, w)


def colorize(folder: Path, *options: str) -> tuple[float, float]:
    """Processor time in seconds and peak memory in MB of a command."""
    line = [sys.executable, "-m", "flowchroma.colorize", "report=false", "overwrite=true", "device=cpu", *options]
    process = subprocess.Popen(line, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"colorize {' '.join(options)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def joined(paths: Sequence[str], frames: int) -> Iterator[np.ndarray]:
    """Frames of films, as many of each, in the size of the first."""
    size = open_film(paths[0]).size
    for path in paths:
        for rgb in islice(open_film(path), -(-frames // len(paths))):
            yield cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)


def to_and_fro(path: str) -> Iterator[np.ndarray]:
    """A film without an end or a cut, small."""
    frames = [cv2.resize(rgb, SMALL[::-1], interpolation=cv2.INTER_AREA) for rgb in open_film(path)]
    return cycle([*frames, *frames[-2:0:-1]])


def write(path: Path, frames: Iterator[np.ndarray]) -> int:
    """Write a film; its number of frames."""
    count = 0
    with open_writer(path, overwrite=True, crf=12) as writer:
        for count, rgb in enumerate(frames, 1):  # noqa: B007
            writer.write(rgb)
    return count


def directions(folder: Path, paths: Sequence[str], frames: int) -> None:
    """Print the processor time of both directions beside that of one."""
    length = write(folder / "film.mp4", islice(joined(paths, frames), frames))
    given = ("source=film.mp4", f"reference=[0,{length - 1}]")
    empty = colorize(folder, *given, "output=none.mp4", "directions=forward", "frames=0:1")[0]
    print(f"starting up and one frame: {empty:.1f} s")
    times = {}
    for name in ("forward", "both"):
        times[name], memory = colorize(folder, *given, f"output={name}.mp4", f"directions={name}")
        print(f"{name}: {times[name]:.1f} s, {memory:.0f} MB, {length} frames", flush=True)
    less = (times["both"] - empty) / (times["forward"] - empty)
    print(f"both over forward: {times['both'] / times['forward']:.2f}, without starting up {less:.2f}")


def memory(folder: Path, path: str, lengths: Sequence[int]) -> None:
    """Print the peak memory of a short and a long film, each way."""
    for name in ("forward", "both"):
        peaks = []
        for length in lengths:
            write(folder / "film.mp4", islice(to_and_fro(path), length))
            given = ("source=film.mp4", f"reference=[0,{length - 1}]", f"output={length}.mp4", f"directions={name}")
            seconds, peak = colorize(folder, *given)
            peaks.append(peak)
            print(f"{name}, {length} frames: {peak:.0f} MB, {seconds:.0f} s", flush=True)
        print(f"{name}: {peaks[-1] / peaks[0]:.3f} times, {peaks[-1] - peaks[0]:+.0f} MB", flush=True)


def references(folder: Path, paths: Sequence[str], frames: int, counts: Sequence[int], height: int) -> None:
    """Print time and peak memory by the number of references, frames of the films at a height of their own."""
    write(folder / "film.mp4", islice(joined(paths, frames), frames))
    shown = list(joined(paths, 10 * max(counts)))[:: max(1, frames // max(counts))]
    for number in range(max(counts)):
        rgb = shown[number % len(shown)]
        scale = height / rgb.shape[0]
        write_png(folder / f"ref{number}.png", cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
    found = []
    for count in counts:
        names = ",".join(f"ref{number * max(counts) // count}.png" for number in range(count))
        found.append(colorize(folder, "source=film.mp4", f"reference=[{names}]", f"output={count}.mp4"))
        print(f"{count} references: {found[-1][0]:.1f} s, {found[-1][1]:.0f} MB", flush=True)
    print(f"{found[-1][0] / found[0][0]:.2f} times the time, {found[-1][1] / found[0][1]:.2f} times the memory")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="+")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--memory", type=int, nargs=2, metavar=("SHORT", "LONG"))
    parser.add_argument("--references", type=int, nargs=2, metavar=("FEW", "MANY"))
    parser.add_argument("--height", type=int, default=240, help="of the references, in pixels")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.memory:
            memory(folder, given.films[0], given.memory)
        elif given.references:
            references(folder, given.films, given.frames, given.references, given.height)
        else:
            directions(folder, given.films, given.frames)


if __name__ == "__main__":
    main()
