"""Processor time a frame of several checkouts of this repository, by turns, and how far their colours differ.

    git worktree add ../before COMMIT
    python benchmarks/paired.py FILM before=../before now=. half=.:bfloat16 --size 240

Each checkout colours the film's first 50 frames at 240 x 432 from the first one, on one thread, in a process of its
own, and then the same frames again from the states before them, frame by frame in turn: frames 2 to 19, while the
memory fills, and 42 to 49, when it is full. Milliseconds are medians; ratios, to the first checkout, are medians of
pairs.
`:float32` and `:bfloat16` make networks ready to colour, which those from before `flowchroma.models.ready` are not.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

WHEN = {"2 to 19": range(2, 20), "42 to 49": range(42, 50)}


def work(film: str, size: int, precision: str) -> None:
    """Answer on stdout: the seconds of a frame that is named on stdin, or all colours into a file."""
    import cv2
    import torch

    from flowchroma.app.systems import load_system
    from flowchroma.colorizers import Painter
    from flowchroma.film import open_film

    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout, sys.stderr
    system = load_system(None)
    if precision:
        from flowchroma.models.ready import ready_to_colour

        system = ready_to_colour(system, half=precision == "bfloat16")
    small = (cv2.resize(rgb, (432, 240), interpolation=cv2.INTER_AREA) for rgb in islice(open_film(film), 50))
    frames = [torch.from_numpy(rgb).permute(2, 0, 1)[None] for rgb in small]
    with torch.inference_mode():
        painter = Painter(system, size)
        painter.start(frames[0])
        painter.observe(frames[0])
        states, painted = [None], []
        for frame in frames[1:]:
            states.append(painter._state)
            painted.append(painter.paint(frame))
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            asked = line.strip()
            if not asked.isdigit():
                np.save(asked, torch.cat(painted).numpy())
                print("saved", file=answers, flush=True)
                continue
            painter._state = states[int(asked)]
            started = time.process_time()
            painter.paint(frames[int(asked)])
            print(time.process_time() - started, file=answers, flush=True)


def start(film: str, size: int, place: str) -> subprocess.Popen[str]:
    """A process of a checkout that has coloured the film."""
    tree, _, precision = place.partition(":")
    tree = str(Path(tree).resolve())
    command = [sys.executable, str(Path(__file__).resolve()), film, f"work={precision}", "--size", str(size)]
    env = {**os.environ, "PYTHONPATH": tree, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=env, cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(worker: subprocess.Popen[str], what: object) -> str:
    """What a process answers."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{what}\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film")
    parser.add_argument("checkouts", nargs="+", metavar="NAME=FOLDER[:PRECISION]")
    parser.add_argument("--size", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    places = dict(one.split("=", 1) for one in given.checkouts)
    if list(places) == ["work"]:
        work(given.film, given.size, places["work"])
        return
    film = str(Path(given.film).resolve())
    workers = {name: start(film, given.size, place) for name, place in places.items()}
    for name, worker in workers.items():
        if worker.stdout is None or worker.stdout.readline().strip() != "ready":
            sys.exit(f"{name} cannot colour")
    for when, numbers in WHEN.items():
        times: dict[str, list[float]] = {name: [] for name in workers}
        for number in [*numbers] * given.rounds:
            for name, worker in workers.items():
                times[name].append(float(ask(worker, number)))
        first = next(iter(times.values()))
        for name, found in times.items():
            ratio = statistics.median(b / a for a, b in zip(first, found, strict=True))
            print(f"frames {when}: {name} {1000 * statistics.median(found):.0f} ms, {ratio:.3f}", flush=True)
    compare(workers)


def compare(workers: dict[str, subprocess.Popen[str]]) -> None:
    """Print how far the colours are from those of the first."""
    with tempfile.TemporaryDirectory() as folder:
        first: np.ndarray | None = None
        for name, worker in workers.items():
            path = Path(folder) / f"{name}.npy"
            ask(worker, path)
            painted = np.load(path).astype(int)
            first = painted if first is None else first
            away = np.abs(painted - first)
            print(f"{name}: {away.max()} levels at most, {away.mean():.4f} on average", flush=True)
            worker.communicate()


if __name__ == "__main__":
    main()
