"""The work that `flowchroma.colorize` does."""

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from omegaconf import DictConfig

from flowchroma.app.colouring.assignments import Assignment, assign
from flowchroma.app.colouring.choices import check_options, frames_of, pick_precision, shots_of, some_of
from flowchroma.app.colouring.film import FilmPainter, is_done
from flowchroma.app.colouring.frames import FrameReader
from flowchroma.app.colouring.pictures import read_pictures, read_planned
from flowchroma.app.colouring.previewing import preview_of, preview_options
from flowchroma.app.colouring.reporting import report
from flowchroma.app.colouring.uncertainty import read_uncertainty
from flowchroma.app.progress import shown_progress
from flowchroma.app.settings import pick_device
from flowchroma.app.systems import load_system
from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.film import OpenedFilm, open_film
from flowchroma.film.segments import SegmentStore, TakenError, open_segments, require_space
from flowchroma.models import FlowChroma
from flowchroma.models.ready import ready_to_colour
from flowchroma.plans import Shot, read_plan

_LOUD = 1_000_000_000  # bytes in the working folder from which on they are told


@dataclass(frozen=True)
class Job:
    """A film that is being coloured."""

    config: DictConfig
    film: OpenedFilm
    device: torch.device
    store: SegmentStore  # keeps what is done
    system: FlowChroma
    assignments: Sequence[Assignment]  # all of the film's shots

    def frames_to_do(self, assignments: Sequence[Assignment]) -> int:
        """Frames of some shots that are to be coloured, those of the way back counted as well."""
        total = 0
        for assignment in assignments:
            left = [piece for piece in assignment.pieces if not self.store.has(*piece, assignment.key)]
            total += sum(stop - start for start, stop in left)
            if left and self.config.directions == "both":
                total += assignment.frames_back
        return total


def run(config: DictConfig) -> None:
    """Colour a film as the options say."""
    with begun(config) as job:
        store, assignments, before = job.store, job.assignments, job.store.frames
        seconds = paint(job)
        if not store.is_joined and not is_done(store, assignments):
            print(f"shots {config.shots} of {len(assignments)} are coloured: the film is joined when the others are")
            return
        unsure = None
        if not store.is_joined:
            unsure = read_uncertainty(store, assignments) if job.config.report else None
            pieces = [(*piece, a.key) for a in assignments for piece in a.pieces]
            try:
                store.join(pieces, remove=config.preview or config.plan is None)
            except TakenError:  # by a process that has coloured other shots
                unsure = None
    length = store.span[1] - store.span[0]
    pace = f", {seconds / (length - before):.2f} s a frame" if length > before else ""
    print(f"{length} frames{pace}: {config.output}")
    if unsure is not None:
        report(job.config, job.film, assignments, unsure, job.system.matcher, job.device)


@contextmanager
def begun(config: DictConfig, shared: bool = False) -> Iterator[Job]:
    """Open a film's source and what is done of it, with what each shot is coloured from.

    Args:
        config: The options.
        shared: Other processes colour shots of it as well, as they do where the options name shots.

    Raises:
        UserError: it cannot be coloured as the options say.
    """
    check_options(config)
    device, folder = pick_device(config.device), Path(config.plan or "").expanduser()
    film = open_film(config.source or read_plan(folder, pictures=False).film.path)
    span = frames_of(config.frames, len(film))
    plan = read_plan(folder, film) if config.plan else None
    pictures = read_planned(folder, plan, film) if plan else read_pictures(config, film)
    for line in film.notes:
        warnings.warn(line, stacklevel=1)
    shots: list[Shot] | None = None
    if config.preview:
        config = preview_options(config)
        film, shots, pictures = preview_of(film, pictures, config, span or (0, len(film)), plan)
        span = None
    job = {name: config[name] for name in ("checkpoint", "size", "directions", "keep_colour", "strict")}
    if config.preview:
        job["preview"] = True
    precision = pick_precision(config.precision, device)
    if precision != "float32":
        job["precision"] = precision
    if plan is None:  # what changes in a plan changes some shots, and leaves the others
        job["reference and keyframes"] = pictures.hash
    shared = shared or config.shots is not None
    settings = {"fps": config.fps, "crf": config.quality, "overwrite": config.overwrite, "deep": True}
    with open_segments(config.output, like=film, job=job, span=span, shared=shared, **settings) as store:
        shots = shots or shots_of(film, store.folder, config, span or (0, len(film)), plan)
        system = ready_to_colour(load_system(config.checkpoint).to(device), half=precision == "bfloat16")
        assignments = assign(shots, pictures, film, system.matcher, config.keep_colour or plan is not None, device)
        yield Job(config, film, device, store, system, assignments)


def paint(job: Job, alone: bool = True) -> float:
    """Colour the shots that the options ask for, and wait for those of them that other processes colour.

    Args:
        job: The film.
        alone: No other process of this command writes to the terminal.

    Returns:
        The seconds that it took.
    """
    config, store = job.config, job.store
    mine, both = some_of(job.assignments, config.shots), config.directions == "both"
    if both:
        _require_room(store, mine, job.film, config.size)
    readers = (FrameReader(job.film, config.strict, store.deep, job.device, quiet) for quiet in (False, True))
    frames, backward_frames = readers
    started, total = time.perf_counter(), job.frames_to_do(mine)
    what = "colouring" if alone else f"colouring shots {config.shots}"
    with shown_progress(what, total, bar=alone) as show:
        number = count(1)
        backward = backward_frames if both else None
        painter = FilmPainter(job.system, config.size, store, frames, backward, job.device, lambda: show(next(number)))
        painter.paint(mine)
        if config.shots is not None:
            painter.wait(mine)
    if summary := frames.film.summary():
        print(f"flowchroma: {summary}", file=sys.stderr)
    return time.perf_counter() - started


def _require_room(store: SegmentStore, assignments: Sequence[Assignment], film: OpenedFilm, size: int) -> None:
    """Say what the way back needs on the disk, and refuse to begin without it.

    Raises:
        UserError: there is too little room.
    """
    scale = min(1.0, size / min(film.size))
    small = (round(film.size[0] * scale), round(film.size[1] * scale))
    longest = max((assignment.longest_way_back for assignment in assignments), default=0)
    needed = EstimateFiles.bytes_for(longest, small)
    require_space(store.folder, needed)
    if needed > _LOUD:
        warnings.warn(
            f"{needed / 1e9:.1f} GB in {store.folder} are needed while a shot is coloured from both sides"
            " (directions=forward needs none)",
            stacklevel=2,
        )
