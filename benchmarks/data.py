"""How fast the DataModule hands out clips, against a bare loop that decodes, cuts and resizes the same frames.

python benchmarks/data.py                                     on films made for it
python benchmarks/data.py --davis DAVIS --films VIDEVO        on sets in the layouts of data=davis and data=videvo

The bare loop reads what the DataModule was seen to read, far and other references too, with the same number of
processes, the same decoder and JPEG at the same scale. It throws each frame away: nothing is drawn, mirrored, put
together or handed over. It resizes by the same function as the DataModule, or all by OpenCV's INTER_AREA, as is usual.
Each round times all of them in turn, and a ratio is taken within its round, so that a machine that other work makes
slower does not matter. Milliseconds are of processor time, over all processes (Linux).
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from multiprocessing import active_children, get_context
from pathlib import Path
from unittest.mock import patch

import av
import cv2
import numpy as np
import torch

from flowchroma.data import ClipDataModule, Films, FrameFolders, SampleFilm, Shards
from flowchroma.data.clips import ClipSampler, TrainingClips, datasets
from flowchroma.data.clips.geometry import Crop, resize
from flowchroma.data.clips.reading import read_frames
from flowchroma.data.prepare import encode, pack
from flowchroma.data.sources import LazyFilm, Source
from flowchroma.film import Film, VideoFile, open_film, open_writer
from flowchroma.film.image_files import encode_jpeg, largest_reduction

REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True)
class Job:
    """What a bare loop does for one reading of a clip: the clip's own frames, or a reference of another film."""

    pictures: tuple[str, ...]  # files, or none where the clip is of a film
    film: str
    times: tuple[int, ...]  # of the frames in the film, in the stream's units
    crop: Crop
    reduction: int
    size: tuple[int, int]


def jobs_of(dataset: TrainingClips, films: Mapping[str, LazyFilm]) -> list[list[Job]]:
    """What each clip of an epoch reads, noted while it is made."""
    jobs: list[Job] = []

    def noted(film: Film, indices: Sequence[int], crop: Crop, into: Sequence[np.ndarray], *rest: bool) -> None:
        jobs.append(job_of(films[film.name], sorted(set(indices)), crop, into[0].shape[:2]))
        read_frames(film, indices, crop, into, *rest)

    every = []
    with patch.object(datasets, "read_frames", noted):
        for key in ClipSampler(len(dataset), 0):
            dataset[key]
            every.append(jobs.copy())
            jobs.clear()
    return every


def job_of(film: LazyFilm, indices: Sequence[int], crop: Crop, size: tuple[int, int]) -> Job:
    """One reading."""
    height, width = crop.needs(size)
    reduction = largest_reduction(film.size, (min(height, film.size[0]), min(width, film.size[1])))
    if film.files:
        return Job(tuple(str(film.files[at]) for at in indices), "", (), crop, reduction, size)
    times = VideoFile(film.path).index.pts
    return Job((), str(film.path), tuple(times[at] for at in indices), crop, 1, size)


def bare(job: Job, usual: bool) -> None:
    """Decode, cut and resize frames."""
    into = np.empty((*job.size, 3), np.uint8)
    for frame in pictures(job) if job.pictures else film_frames(job):
        if usual:
            top, left, height, width = job.crop.pixels(frame.shape[:2])
            cut = frame[top : top + height, left : left + width]
            cv2.resize(cut, job.size[::-1], dst=into, interpolation=cv2.INTER_AREA)
        else:
            resize([frame], job.crop, [into])


def pictures(job: Job) -> Iterator[np.ndarray]:
    """Frames of files."""
    for file in job.pictures:
        yield cv2.imread(file, REDUCED[job.reduction])


def film_frames(job: Job) -> Iterator[np.ndarray]:
    """Frames of a film, from the key before the first of them on."""
    with av.open(job.film) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        frames = iter(())
        last = None
        for wanted in job.times:
            if last is None or wanted - last > 12 * stream.duration // stream.frames:
                container.seek(wanted, stream=stream)
                frames = container.decode(stream)
            yield next(frame for frame in frames if frame.pts >= wanted).to_ndarray(format="rgb24")
            last = wanted


def one_thread(*_: object) -> None:
    """As in the DataModule's workers."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def contest(source: Source, plain: Source, options: argparse.Namespace) -> str:
    """A row: the DataModule on one source, the bare loop on what it was made from."""
    data = ClipDataModule(
        {"one": source}, clip_length=options.length, size=options.size, batch_size=4, num_workers=options.workers,
        reference={"far": 1.0} if options.far else None,
    )  # fmt: skip
    data.setup("fit")
    loader = data.train_dataloader()
    jobs = jobs_of(loader.dataset.clips, {film.name: film for film in plain.films("train")})
    parts = [jobs[k :: options.workers] for k in range(options.workers)]

    def module() -> int:
        loader.sampler.set_epoch(0)
        return sum(len(batch.names) for batch in loader)

    with ProcessPoolExecutor(options.workers, get_context("fork"), one_thread) as pool:
        usual, same, handed = alternate(
            options.rounds,
            lambda: sum(pool.map(partial(all_bare, usual=True), parts)),
            lambda: sum(pool.map(partial(all_bare, usual=False), parts)),
            module,
        )
    runs, loops = (usual, same, handed), (usual, same)
    rates = " | ".join(f"{statistics.median(run.rates):.1f}" for run in runs)
    costs = " | ".join(f"{statistics.median(run.costs):.2f}" for run in runs)
    faster = ", ".join(f"{quotient(handed.rates, loop.rates):.2f}" for loop in loops)
    cheaper = ", ".join(f"{quotient(loop.costs, handed.costs):.2f}" for loop in loops)
    return f"{rates} | {faster} | {costs} | {cheaper} |"


def all_bare(share: Sequence[Sequence[Job]], usual: bool) -> int:
    """One process's share; tells how many clips that were."""
    for job in chain.from_iterable(share):
        bare(job, usual)
    return len(share)


@dataclass(frozen=True)
class Measured:
    """What one thing did in each round."""

    rates: list[float] = field(default_factory=list)  # a second
    costs: list[float] = field(default_factory=list)  # milliseconds of a processor each


def alternate(rounds: int, *runs: Callable[[], int]) -> list[Measured]:
    """Several things, one after the other, again and again; the first round warms up and does not count."""
    measured = [Measured() for _ in runs]
    for at in range(rounds + 1):
        for run, into in zip(runs, measured, strict=True):
            started, spent = time.perf_counter(), processor_time()
            done = run()
            if at:
                into.rates.append(done / (time.perf_counter() - started))
                into.costs.append((processor_time() - spent) * 1e3 / done)
    return measured


def processor_time() -> float:
    """Seconds that this process and those that it started, and that still live, have computed."""
    tasks = (task for child in active_children() for task in Path(f"/proc/{child.pid}/task").glob("*/schedstat"))
    return time.process_time() + sum(int(task.read_text(encoding="utf-8").split()[0]) for task in tasks) / 1e9


def quotient(above: Sequence[float], below: Sequence[float]) -> float:
    """The median over the rounds."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def random_access(films: Sequence[Path], folder: Path, rounds: int) -> str:
    """Rows: eight-frame clips a second at random, by the frames between keys."""
    far, near = folder / "gop250", folder / "gop12"
    for path in films:
        film = open_film(path)
        with open_writer(far / f"{path.stem}.mp4", like=film, gop=250) as writer:
            for frame in film:
                writer.write(frame)
    encode([LazyFilm(path.stem, path) for path in sorted(far.iterdir())], near, gop=12)

    def reading(where: Path) -> Callable[[], int]:
        opened = [VideoFile(path) for path in sorted(where.iterdir())]
        draw = np.random.default_rng(0)
        starts = [(film, int(draw.integers(len(film) - 8))) for film in opened for _ in range(4)]

        def run() -> int:
            for film, start in starts:
                film.read(range(start, start + 8))
            return len(starts)

        return run

    runs = alternate(rounds, reading(far), reading(near))
    ratio = quotient(runs[1].rates, runs[0].rates)
    medians = [statistics.median(run.rates) for run in runs]
    size = [sum(path.stat().st_size for path in where.iterdir()) / 1e6 for where in (far, near)]
    return f"| 250 | {medians[0]:.1f} | 1.00 | {size[0]:.1f} |\n| 12 | {medians[1]:.1f} | {ratio:.2f} | {size[1]:.1f} |"


@contextmanager
def sets(options: argparse.Namespace) -> Iterator[tuple[FrameFolders, Path, Path]]:
    """A set of frames, a folder of films, and a place for what is made of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.davis is None or options.films is None:
            make(folder)
        many = options.clips // 4
        frames = FrameFolders(options.davis or folder / "frames", clips_per_film=many)
        yield frames, Path(options.films or folder / "films"), folder


def make(folder: Path) -> None:
    """Write four made films of 480p, as frames and as files."""
    lists = folder / "frames/ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n2\n3\n")
    (lists / "val.txt").write_text("3x\n")
    (folder / "frames/JPEGImages/480p/3x").mkdir(parents=True)
    for seed in range(4):
        film = SampleFilm(seed, frames=60, size=(480, 854))
        place = folder / "frames/JPEGImages/480p" / str(seed)
        place.mkdir(parents=True)
        with open_writer(folder / f"films/{seed}.mp4") as writer:
            for index, frame in enumerate(film):
                (place / f"{index:05}.jpg").write_bytes(encode_jpeg(frame, 90))
                if index == 0 and seed == 3:
                    for copy in range(8):
                        (folder / f"frames/JPEGImages/480p/3x/{copy:05}.jpg").write_bytes(encode_jpeg(frame, 90))
                writer.write(frame)


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description="Clips a second of the DataModule.")
    parser.add_argument("--davis", metavar="DIR", help="a set in the layout of DAVIS")
    parser.add_argument("--films", metavar="DIR", help="a folder of films")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clips", type=int, default=160, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=4, help="frames in a clip")
    parser.add_argument("--size", type=int, nargs=2, default=(224, 224))
    parser.add_argument("--far", action="store_true", help="every clip has a far reference")
    options = parser.parse_args()
    one_thread()
    with sets(options) as (frames, films, folder):
        print(f"{options.workers} processes, {os.cpu_count()} cores, clips of {options.length} at {options.size}\n")
        print(
            "| source | clips/s: bare loop, INTER_AREA | bare loop | DataModule | ratios | ms a clip: |  |  | ratios |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        print(f"| JPEG folders | {contest(frames, frames, options)}", flush=True)
        pack({split: frames.films(split) for split in ("train", "val")}, folder / "shards")
        shards = Shards(folder / "shards", clips_per_film=frames.clips_per_film)
        print(f"| shards | {contest(shards, frames, options)}", flush=True)
        whole = [path for path in sorted(films.iterdir()) if path.suffix == ".mp4"]
        close = folder / "close"
        encode([LazyFilm(path.stem, path) for path in whole], close)
        # Half as many, as each takes several times as long.
        source = Films(close, clips_per_film=max(1, options.clips // 2 // len(whole)))
        print(f"| films, GOP 12 | {contest(source, source, options)}", flush=True)
        print("\n| frames between keys | random 8-frame clips/s | ratio | MB |\n|---|---|---|---|")
        print(random_access(list(islice(whole, 4)), folder, options.rounds))
        shutil.rmtree(folder / "gop250")


if __name__ == "__main__":
    main()
