"""What `python -m flowchroma.plan` does: find a film's shots, choose its stills, write the plan."""

import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from flowchroma.app.progress import shown_progress
from flowchroma.app.settings import pick_device
from flowchroma.app.systems import load_part
from flowchroma.errors import UserError
from flowchroma.film import HeldFilm, OpenedFilm, open_film
from flowchroma.film.image_files import read_image
from flowchroma.film.references import has_colour
from flowchroma.film.suffixes import FRAME_SUFFIXES
from flowchroma.models.contracts import Matcher
from flowchroma.plans.choosing import Choice, choose
from flowchroma.plans.gain_file import PLANNED, write_gains
from flowchroma.plans.keyframes import keyframe_files
from flowchroma.plans.plan_file import FILE, FilmIdentity, Plan, PlannedShot, still_name, write_plan, write_stills
from flowchroma.plans.plan_page import write_page
from flowchroma.plans.plan_reading import read_plan
from flowchroma.plans.shots import Shot, find_shots
from flowchroma.plans.survey import EVERY, PAIRS, Survey, survey


def run(config: DictConfig) -> None:
    """Plan a film as the options say."""
    for option in ("source", "output"):
        if config[option] in (None, ""):
            raise UserError(f"no {option}: give source=FILM output=PLAN, or --help")
    _check_amounts(config)
    device = pick_device(config.device)
    film = open_film(config.source)
    folder = Path(config.output).expanduser()
    earlier, coloured = _earlier(folder, film, config.overwrite)
    for line in film.notes:
        warnings.warn(line, stacklevel=1)
    matcher = load_part("matcher", config.checkpoint).to(device)
    assert isinstance(matcher, Matcher)
    shots, kept = _shots(film, earlier)
    given = sorted({*(earlier.stills if earlier else ()), *coloured})
    looked = look_through(film, shots, matcher, given, device)
    choice = choose(looked, config.stills, config.error, given, kept)
    plan = Plan(FilmIdentity.of(film), tuple(_planned(shots, kept, choice, earlier, folder)))
    if config.overwrite:
        _clear(folder)
    write_plan(folder, plan)  # first: pictures without a plan are somebody else's
    write_stills(folder, film, choice.stills)
    write_page(folder, plan, choice, film)
    write_gains(folder / PLANNED, dict(zip(choice.stills, choice.gains, strict=True)))
    _report(config, choice, plan, given, coloured)


def _check_amounts(config: DictConfig) -> None:
    if config.stills is not None and config.error is not None:
        raise UserError("stills and error do not go together: give one of them", code=2)
    stills, error = config.stills, config.error
    if stills is not None and (not isinstance(stills, int) or isinstance(stills, bool) or stills < 1):
        raise UserError(f"stills must be a whole number from 1 on, not {stills}", code=2)
    if error is not None and (not isinstance(error, int | float) or isinstance(error, bool) or not error > 0):
        raise UserError(f"error must be a number of CIELAB units above 0, not {error}", code=2)


def _earlier(folder: Path, film: OpenedFilm, overwrite: bool) -> tuple[Plan | None, set[int]]:
    """The plan of this film that is there already, and which frames have a coloured picture."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder: give another output")
    pictures = [file for file in folder.glob("*") if file.suffix.lower() in FRAME_SUFFIXES and file.name[0] != "."]
    if not (folder / FILE).exists():
        if pictures:
            raise UserError(f"{folder} holds pictures, and no plan: give another output")
        return None, set()
    if overwrite:
        if any(has_colour(read_image(file)) for file in pictures):
            raise UserError(f"{folder} has stills that are coloured: give another output, or move them away first")
        return None, set()
    plan = read_plan(folder, film, pictures=False)
    files = keyframe_files(folder, film, skip=plan.others) if pictures else {}
    return plan, {frame for frame, file in files.items() if has_colour(read_image(file))}


def _clear(folder: Path) -> None:
    """Delete the stills of the plan that was there: all are gray."""
    for file in folder.glob("*.png"):
        if re.fullmatch(r"[0-9]{6,}", file.stem):
            file.unlink()


def _shots(film: OpenedFilm, earlier: Plan | None) -> tuple[list[Shot], list[bool]]:
    """The film's shots, as the earlier plan divides it if there is one, and which keep colours of their own."""
    with shown_progress("looking for shots", len(film)) as show:
        found = find_shots(HeldFilm(film), show)
    if earlier is None:
        mixed = not all(shot.coloured for shot in found)
        return found, [mixed and shot.coloured for shot in found]
    known = {(shot.start, shot.stop): shot for shot in found}
    shots = [known.get((shot.start, shot.stop), Shot(shot.start, shot.stop)) for shot in earlier.shots]
    return shots, [shot.keep_colour for shot in earlier.shots]


def look_through(
    film: OpenedFilm,
    shots: Sequence[Shot],
    matcher: Matcher,
    given: Collection[int],
    device: torch.device,
    every: int = EVERY,
    pairs: int = PAIRS,
) -> Survey:
    """Look through a film as `survey` does; a frame that cannot be read is no still."""
    held = HeldFilm(film)
    with shown_progress("comparing frames", len(film)) as show, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were said when shots were looked for
        looked = survey(held, shots, matcher, given, device, show, every, pairs)
    damaged = np.isin(looked.sampled, [*held.held, *held.mended])
    return replace(looked, usable=looked.usable & ~damaged)


def _planned(
    shots: Sequence[Shot], kept: Sequence[bool], choice: Choice, earlier: Plan | None, folder: Path
) -> Iterator[PlannedShot]:
    """The shots of the plan, with the references that an earlier one had, but for stills."""
    for at, shot in enumerate(shots):
        stills = tuple(still for still in choice.stills if shot.start <= still < shot.stop)
        own = earlier.shots[at].references if earlier else ()
        chosen = {folder / still_name(still) for still in choice.stills}
        similar = tuple(folder / still_name(still) for still in choice.similar.get(at, ()))
        references = (*(path for path in own if path not in chosen), *similar)
        yield PlannedShot(shot.start, shot.stop, stills, references, kept[at])


def _report(config: DictConfig, choice: Choice, plan: Plan, given: Collection[int], coloured: Collection[int]) -> None:
    if config.stills is not None and len(choice.stills) < config.stills:
        warnings.warn(f"the film has no more than {len(choice.stills)} frames to choose from", stacklevel=1)
    if config.error is not None and choice.error > config.error:
        warnings.warn(
            f"no number of stills brings the expected error under {config.error}: it is {choice.error:.1f}",
            stacklevel=1,
        )
    added = f", {len(choice.stills) - len(given)} of them new and {len(coloured)} coloured" if given else ""
    print(
        f"{_count(len(plan.shots), 'shot')}, {_count(len(choice.stills), 'still')}{added}; expected error"
        f" {choice.error_before:.1f} without more stills, {choice.error:.1f} with them: {config.output}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
