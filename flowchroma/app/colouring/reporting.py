"""What is written beside a coloured film: what it was unsure of, and the stills that would help most."""

import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from flowchroma.app.colouring.assignments import Assignment
from flowchroma.app.colouring.report_page import HowTo, NextStills, write_page
from flowchroma.app.colouring.uncertainty import Uncertainty
from flowchroma.app.planning import look_through
from flowchroma.errors import UserError
from flowchroma.film import OpenedFilm
from flowchroma.film.targets import target_of
from flowchroma.models.contracts import Matcher
from flowchroma.plans.choosing import choose
from flowchroma.plans.gain_file import PROPOSED, write_gains
from flowchroma.plans.plan_file import write_stills
from flowchroma.plans.still_errors import StillModel

_NEXT = 6  # stills that are proposed
_WORTH = 10.0  # CIELAB units over all frames that one takes off, at least
_EVERY, _PAIRS = 20, 2  # of `survey`: a plan's own take more than a twentieth of colouring with preset=fast


def report(
    config: DictConfig,
    film: OpenedFilm,
    assignments: Sequence[Assignment],
    unsure: Uncertainty,
    matcher: Matcher,
    device: torch.device,
) -> None:
    """Write OUTPUT.report.html and OUTPUT.stills; where that fails, a line says so: the film is in its place."""
    page, folder = places(str(config.output))
    try:
        stills = next_stills(film, assignments, unsure, matcher, device)
        write_stills(folder, film, sorted(stills.gains))
        if config.get("plan"):
            write_gains(Path(config.plan).expanduser() / PROPOSED, stills.gains)
        write_page(page, film, assignments, unsure, stills, folder, how_to(config, folder))
    except KeyboardInterrupt as error:
        print(f"flowchroma: interrupted: {config.output} is whole, {page} is not written", file=sys.stderr)
        sys.exit(getattr(error, "code", 130))
    except Exception as error:  # whatever it is, the film is worth more
        why = error if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        warnings.warn(f"{config.output} is whole, but what it was unsure of is not told: {why}", stacklevel=2)
    else:
        print(f"what it was unsure of: {page}")


def places(output: str) -> tuple[Path, Path]:
    """The page and the folder of stills of an output: film.report.html and film.stills of film.mp4."""
    target, container = target_of(output)
    name = target.stem if container else target.name
    return target.with_name(f"{name}.report.html"), target.with_name(f"{name}.stills")


def next_stills(
    film: OpenedFilm, assignments: Sequence[Assignment], unsure: Uncertainty, matcher: Matcher, device: torch.device
) -> NextStills:
    """The frames of a coloured film that help most when they are coloured by hand."""
    given = sorted(number for assignment in assignments for number in assignment.keyframes)
    looked = look_through(film, [a.shot for a in assignments], matcher, given, device, _EVERY, _PAIRS)
    now = np.nan_to_num(unsure.errors[looked.sampled - unsure.start], nan=StillModel.most)
    choice = choose(
        looked, len(given) + _NEXT, given=given, kept=[a.keeps_colour for a in assignments], now=now, pays=_WORTH
    )
    gains = {still: gain for still, gain in zip(choice.stills, choice.gains, strict=True) if still not in given}
    best_first = dict(sorted(gains.items(), key=lambda item: -item[1]))
    return NextStills(best_first, choice.error_before - choice.error)


def how_to(config: DictConfig, folder: Path) -> HowTo:
    """What somebody does with the stills."""
    again = "and run the same command again with what stands below."
    if plan := config.get("plan"):
        place = f"put them into {plan} and their numbers into the stills of their shots in plan.yaml"
        again = f"{again} Shots that they do not touch are not computed again."
        return HowTo(f"Colour them, {place}, {again}", "overwrite=true")
    if config.keyframes:
        mine = Path(str(config.keyframes)).expanduser().resolve() == folder.resolve()
        place = "save each under its name" if mine else f"put them into {config.keyframes} under their names"
        return HowTo(f"Colour them, {place}, {again}", "overwrite=true")
    options = [f"keyframes={folder}", "overwrite=true"]
    if config.reference is None:  # keyframes would take its place
        options.insert(0, "reference=first")
    return HowTo(f"Colour them, save each under its name, {again}", shlex.join(options))
