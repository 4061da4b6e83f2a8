"""What colouring was unsure of, as a page: expected errors over time, the worst moments, the stills to colour next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flowchroma.app.colouring.assignments import Assignment
from flowchroma.app.colouring.error_files import Moment
from flowchroma.app.colouring.report_chart import chart
from flowchroma.app.colouring.uncertainty import Uncertainty
from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically
from flowchroma.film import OpenedFilm
from flowchroma.pages import render
from flowchroma.plans.plan_file import still_name
from flowchroma.plans.plan_page import jpeg_uri, still_picture, thinned

_FOLDER = Path(__file__).parent
_BRIGHT = 20.0  # CIELAB units that are brightest on a map
_PARTS = 3  # of each side of a frame, whose means are told in numbers


@dataclass(frozen=True)
class HowTo:
    """How stills are used."""

    sentence: str
    options: str  # as typed


@dataclass(frozen=True)
class NextStills:
    """Frames to be coloured by hand, and what they are expected to win: CIELAB units, as mean over the film."""

    gains: Mapping[int, float]  # of each beside the others, by number; those that win most first
    together: float


def write_page(
    path: Path,
    film: OpenedFilm,
    assignments: Sequence[Assignment],
    unsure: Uncertainty,
    stills: NextStills,
    folder: Path,
    how: HowTo,
) -> None:
    """Write the page.

    Args:
        path: Where to.
        film: The film that was coloured.
        assignments: Its shots, and what each was coloured from.
        unsure: Expected errors.
        stills: Those to be coloured next.
        folder: Where these lie.
        how: They are used.

    Raises:
        UserError: It cannot be written, or no expected error was kept.
    """
    if np.isnan(unsure.errors).all():
        raise UserError("the expected errors are lost: run the same command again with overwrite=true")
    page = _rendered(film, assignments, unsure, stills, folder, how)
    try:
        write_atomically(path, page)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; make room") from error


def _rendered(
    film: OpenedFilm,
    assignments: Sequence[Assignment],
    unsure: Uncertainty,
    stills: NextStills,
    folder: Path,
    how: HowTo,
) -> str:
    curve = thinned(unsure.errors)
    values = [None if np.isnan(y) else y for y in curve["y"]]
    rows = [_row(at, assignment, unsure) for at, assignment in enumerate(assignments, 1)]
    return render(
        _FOLDER / "report.html.j2",
        _FOLDER / "report.js",
        charts=False,
        data={"start": unsure.start, "frames": len(unsure.errors), "x": curve["x"], "errors": values},
        name=film.path.name if film.path else film.name,
        essentials=_essentials(film, assignments, unsure),
        headline=_headline(rows, unsure),
        chart=chart(unsure, curve, assignments, list(stills.gains)),
        moments=[_moment(at, moment, assignments, unsure) for at, moment in enumerate(unsure.moments, 1)],
        bright=_BRIGHT,
        stills=[_still(still, gain, assignments, film, folder) for still, gain in stills.gains.items()],
        together=f"{stills.together:.2f}",
        folder=folder.name,
        how=how,
        shots=rows,
    )


def _essentials(film: OpenedFilm, assignments: Sequence[Assignment], unsure: Uncertainty) -> dict[str, str]:
    height, width = film.size
    kept = sum(assignment.keeps_colour for assignment in assignments)
    last = unsure.start + len(unsure.errors) - 1
    return {
        "film": film.path.name if film.path else film.name,
        "frames": f"{unsure.start} to {last}, {width} x {height}",
        "shots": str(len(assignments)) + (f", {kept} keep their own colour" if kept else ""),
        "keyframes": str(sum(len(assignment.keyframes) for assignment in assignments)),
    }


def _headline(rows: Sequence[Mapping[str, Any]], unsure: Uncertainty) -> str:
    mean = f"Colours are expected to be {np.nanmean(unsure.errors):.1f} CIELAB units off on average"
    known = [row for row in rows if row["mean"] is not None]
    if len(known) < 2:
        return f"{mean}."
    least_sure = max(known, key=lambda row: row["mean"])
    return f"{mean}; shot {least_sure['shot']} is the least sure, with {least_sure['mean']:.1f}."


def _row(at: int, assignment: Assignment, unsure: Uncertainty) -> dict[str, Any]:
    """A shot in the table of shots."""
    shot, errors = assignment.shot, unsure.of(assignment.shot.start, assignment.shot.stop)
    known = not assignment.keeps_colour and not np.isnan(errors).all()
    return {
        "shot": at,
        "frames": f"{shot.start} to {shot.stop - 1}",
        "keyframes": ", ".join(map(str, sorted(assignment.keyframes))) or "none",
        "mean": float(np.nanmean(errors)) if known else None,
        "most": float(np.nanmax(errors)) if known else None,
        "worst": shot.start + int(np.nanargmax(errors)) if known else None,
        "kept": assignment.keeps_colour,
    }


def _moment(at: int, moment: Moment, assignments: Sequence[Assignment], unsure: Uncertainty) -> dict[str, Any]:
    """A frame beside the map of its expected errors."""
    shot = _shot_of(moment.frame, assignments)
    mean = unsure.of(moment.frame, moment.frame + 1)[0]
    return {
        "title": f"{at}: frame {moment.frame}",
        "shot": f"shot {shot}",
        "what": f"frame {moment.frame}, shot {shot}",
        "numbers": f"{mean:.1f} on average, up to {moment.error.max():.0f}",
        "picture": jpeg_uri(moment.rgb),
        "map": jpeg_uri(_heatmap(moment.error)),
        "parts": [[f"{value:.1f}" for value in row] for row in _parts(moment.error)],
    }


def _still(
    still: int, gain: float, assignments: Sequence[Assignment], film: OpenedFilm, folder: Path
) -> dict[str, Any]:
    return {
        "file": still_name(still),
        "shot": f"shot {_shot_of(still, assignments)}",
        "picture": still_picture(still, film, folder),
        "caption": f"takes off {gain:.2f}",
    }


def _shot_of(number: int, assignments: Sequence[Assignment]) -> int:
    """Counted from 1."""
    return sum(assignment.shot.start <= number for assignment in assignments)


def _heatmap(error: np.ndarray) -> np.ndarray:
    """Errors (h, w) in CIELAB units as colours, (h, w, 3) uint8: black for 0."""
    import cv2

    level = (error / _BRIGHT * 255).round().clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def _parts(error: np.ndarray) -> Iterator[list[float]]:
    """Means of the parts of a map, row by row."""
    for row in np.array_split(error, _PARTS, axis=0):
        yield [float(part.mean()) for part in np.array_split(row, _PARTS, axis=1) if part.size]
