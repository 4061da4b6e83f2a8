"""What the options choose of a film: frames, shots, and how they are coloured."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from omegaconf import DictConfig

from flowchroma.app.progress import shown_progress
from flowchroma.errors import UserError
from flowchroma.film import HeldFilm, OpenedFilm
from flowchroma.models.ready import has_fast_half
from flowchroma.plans import Plan, Shot, find_shots, load_shots, save_shots

_T = TypeVar("_T")
_PRECISIONS = ("auto", "float32", "bfloat16")


def check_options(config: DictConfig) -> None:
    """Refuse options that make no sense.

    Raises:
        UserError: with the one to change.
    """
    for option in ("output",) if config.plan else ("source", "output"):
        if config[option] in (None, ""):
            raise UserError(f"no {option}: give source=FILM reference=IMAGE output=FILM.mp4, or --help")
    if config.plan and any(config[option] is not None for option in ("reference", "keyframes")):
        raise UserError("plan=PLAN names all pictures: leave reference= and keyframes= out", code=2)
    if config.parts is not None:
        raise UserError("parts=N shares a film among the jobs of a Hydra launcher: add -m, see --help", code=2)
    if not isinstance(config.size, int) or config.size < 16:
        raise UserError(f"size must be a whole number of pixels from 16 on, not {config.size}", code=2)
    if config.directions not in ("both", "forward"):
        raise UserError(f"directions must be both or forward, not {config.directions}", code=2)
    if config.precision not in _PRECISIONS:
        raise UserError(
            f"precision must be {', '.join(_PRECISIONS[:-1])} or {_PRECISIONS[-1]}, not {config.precision}", code=2
        )


def pick_precision(name: str, device: torch.device) -> str:
    """The precision that an option means there: "auto" is bfloat16 where that is faster."""
    if name != "auto":
        return name
    return "bfloat16" if has_fast_half(device) else "float32"


def frames_of(typed: object, length: int) -> tuple[int, int] | None:
    """The part of a film that frames=START:STOP means, in which the frame STOP is not; None for all of it.

    Raises:
        UserError: it is no part of a film of so many frames.
    """
    if typed is None:
        return None
    match = re.fullmatch(r"([0-9]*):([0-9]*)", str(typed))
    if not match:
        raise UserError(f"frames must be START:STOP, such as 1000:1200, not {typed}", code=2)
    start, stop = int(match[1] or 0), int(match[2] or length)
    if not start < stop <= length:
        raise UserError(f"frames={typed} is no part of the film: its frames are 0 to {length - 1}", code=2)
    return start, stop


def shots_of(
    film: OpenedFilm, folder: Path | None, config: DictConfig, span: tuple[int, int], plan: Plan | None
) -> list[Shot]:
    """The shots of a part of a film; one where it is to be coloured forward alone, as it comes, by no plan.

    Those that are found are kept in the folder, if there is one.
    """
    if plan:
        return _within([Shot(shot.start, shot.stop, shot.keep_colour) for shot in plan.shots], span)
    if config.directions == "forward" and not config.keep_colour:
        return [Shot(*span)]
    shots = load_shots(folder, film) if folder else None
    if shots is None:
        with shown_progress("looking for cuts", len(film)) as show:
            shots = find_shots(HeldFilm(film, strict=config.strict, quiet=True), show)
        if folder:
            save_shots(folder, film, shots)
    return _within(shots, span)


def _within(shots: Sequence[Shot], span: tuple[int, int]) -> list[Shot]:
    start, stop = span
    clipped = [replace(shot, start=max(shot.start, start), stop=min(shot.stop, stop)) for shot in shots]
    return [shot for shot in clipped if shot.start < shot.stop]


def some_of(items: Sequence[_T], typed: object) -> Sequence[_T]:
    """The items that a list such as 3,7-12 means, counted from 1; all for None.

    Raises:
        UserError: it is no such list, or there are not so many.
    """
    if typed is None:
        return items
    chosen: set[int] = set()
    for part in str(typed).strip("[]").split(","):
        match = re.fullmatch(r"\s*([0-9]+)(?:-([0-9]+))?\s*", part)
        if not match:
            raise UserError(f"shots must be numbers such as 3,7-12, not {typed}", code=2)
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= len(items):
            raise UserError(f"shots={typed}: the film has shots 1 to {len(items)}", code=2)
        chosen |= set(range(first, last + 1))
    return [items[number - 1] for number in sorted(chosen)]
