"""The work that `flowchroma.colorize` does."""

import sys
import time
import warnings
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import torch
from omegaconf import DictConfig

from flowchroma.app.colouring.assignments import Assignment, assign
from flowchroma.app.colouring.choices import check_options, frames_of, shots_of, some_of
from flowchroma.app.colouring.film import FilmPainter, is_done
from flowchroma.app.colouring.frames import FrameReader
from flowchroma.app.colouring.pictures import read_pictures, read_planned
from flowchroma.app.colouring.reporting import report
from flowchroma.app.colouring.uncertainty import read_uncertainty
from flowchroma.app.progress import shown_progress
from flowchroma.app.settings import pick_device
from flowchroma.app.systems import load_system
from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.film import OpenedFilm, open_film
from flowchroma.film.segments import SegmentStore, open_segments, require_space
from flowchroma.models import FlowChroma
from flowchroma.plans import read_plan

_LOUD = 1_000_000_000  # bytes in the working folder from which on they are told


def run(config: DictConfig) -> None:
    """Colour a film as the options say."""
    check_options(config)
    device, folder = pick_device(config.device), Path(config.plan or "").expanduser()
    film = open_film(config.source or read_plan(folder, pictures=False).film.path)
    span = frames_of(config.frames, len(film))
    plan = read_plan(folder, film) if config.plan else None
    pictures = read_planned(folder, plan, film) if plan else read_pictures(config, film)
    for line in film.notes:
        warnings.warn(line, stacklevel=1)
    job = {name: config[name] for name in ("checkpoint", "size", "directions", "keep_colour", "strict")}
    if plan is None:  # what changes in a plan changes some shots, and leaves the others
        job["reference and keyframes"] = pictures.hash
    settings = {"fps": config.fps, "crf": config.quality, "overwrite": config.overwrite, "deep": True}
    with open_segments(
        config.output, like=film, job=job, span=span, shared=config.shots is not None, **settings
    ) as store:
        shots = shots_of(film, store.folder, config, span or (0, len(film)), plan)
        system = load_system(config.checkpoint).to(device)
        assignments = assign(shots, pictures, film, system.matcher, config.keep_colour or plan is not None, device)
        done = _paint(config, film, system, store, assignments, device)
        if done is None:
            print(f"shots {config.shots} of {len(assignments)} are coloured: the film is joined when the others are")
            return
        unsure = None
        if not store.is_joined:
            unsure = read_uncertainty(store, assignments) if config.report else None
            store.join([(*piece, a.key) for a in assignments for piece in a.pieces], remove=plan is None)
    print(done)
    if unsure is not None:
        report(config, film, assignments, unsure, system.matcher, device)


def _paint(
    config: DictConfig,
    film: OpenedFilm,
    system: FlowChroma,
    store: SegmentStore,
    assignments: Sequence[Assignment],
    device: torch.device,
) -> str | None:
    """Colour the shots that the options ask for; a line on it, or None where others of the film are not done."""
    mine, both = some_of(assignments, config.shots), config.directions == "both"
    if both:
        _require_room(store, mine, film, config.size)
    frames, ahead = (FrameReader(film, config.strict, store.deep, device, quiet) for quiet in (False, True))
    started, total, before = time.perf_counter(), _frames_to_do(store, mine, both), store.frames
    with shown_progress("colouring", total) as show:
        number = count(1)
        painter = FilmPainter(
            system, config.size, store, frames, ahead if both else None, device, lambda: show(next(number))
        )
        painter.paint(mine)
        if config.shots is not None:
            painter.wait(mine)
    seconds = time.perf_counter() - started
    if not store.is_joined and not is_done(store, assignments):
        return None
    length = store.span[1] - store.span[0]
    if summary := frames.film.summary():
        print(f"flowchroma: {summary}", file=sys.stderr)
    return f"{length} frames, {seconds / max(1, length - before):.2f} s a frame: {config.output}"


def _frames_to_do(store: SegmentStore, assignments: Sequence[Assignment], both: bool) -> int:
    """Frames to be coloured, those of the way back counted as well."""
    total = 0
    for assignment in assignments:
        left = [piece for piece in assignment.pieces if not store.has(*piece, assignment.key)]
        total += sum(stop - start for start, stop in left)
        if left and both:
            total += assignment.frames_back
    return total


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
