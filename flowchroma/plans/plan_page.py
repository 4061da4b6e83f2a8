"""A plan as a page: the shots in a row, the stills, what each is expected to win, and the expected error."""

import base64
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically
from flowchroma.film.film import Film
from flowchroma.film.held import shown_frame
from flowchroma.pages import render
from flowchroma.plans.choosing import Choice
from flowchroma.plans.plan_file import Plan, PlannedShot, gray_of, still_name

_FOLDER = Path(__file__).parent
FILE = "plan.html"
_HEIGHT, _QUALITY = 135, 80  # of a still on the page
_POINTS = 1200  # of a curve: more than a screen has pixels for


def write_page(folder: Path, plan: Plan, choice: Choice, film: Film) -> None:
    """Write plan.html into a plan's folder.

    Raises:
        UserError: It cannot be written, or a still not be read.
    """
    columns = [column for at, shot in enumerate(plan.shots) for column in _columns(at, shot, choice, film, folder)]
    page = render(
        _FOLDER / "plan.html.j2",
        _FOLDER / "plan.js",
        charts=True,
        data={
            "curves": {"before": thinned(choice.before), "after": thinned(choice.after)},
            "stills": [*choice.stills],
            "shots": [shot.start for shot in plan.shots],
        },
        plan=plan,
        essentials=_essentials(plan),
        headline=_headline(plan, choice),
        bars=[_bar(at, shot, plan.film.frames) for at, shot in enumerate(plan.shots)],
        columns=columns,
    )
    try:
        write_atomically(folder / FILE, page)
    except OSError as error:
        raise UserError(f"cannot write {folder / FILE}: {error.strerror or error}; make room") from error


def _essentials(plan: Plan) -> dict[str, str]:
    height, width = plan.film.size
    kept = sum(shot.keep_colour for shot in plan.shots)
    return {
        "film": plan.film.name,
        "frames": f"{plan.film.frames}, {width} x {height}",
        "shots": str(len(plan.shots)) + (f", {kept} keep their own colour" if kept else ""),
        "stills": str(len(plan.stills)),
    }


def _headline(plan: Plan, choice: Choice) -> str:
    stills = "1 still brings" if len(plan.stills) == 1 else f"{len(plan.stills)} stills bring"
    return f"{stills} the expected error from {choice.error_before:.1f} to {choice.error:.1f} CIELAB units."


def _bar(at: int, shot: PlannedShot, frames: int) -> dict[str, Any]:
    """A shot in the row of shots, in percent."""
    length = shot.stop - shot.start
    return {
        "title": f"shot {at + 1}, frames {shot.start} to {shot.stop - 1}, stills: {len(shot.stills)}",
        "width": f"{100 * length / frames:.4f}%",
        "bare": not shot.stills,
        "marks": [f"{100 * (still - shot.start + 0.5) / length:.2f}%" for still in shot.stills],
    }


def _columns(at: int, shot: PlannedShot, choice: Choice, film: Film, folder: Path) -> Iterator[dict[str, Any]]:
    """The stills of a shot, or what stands in for them."""
    name = f"shot {at + 1}"
    frames = f"{shot.start} to {shot.stop - 1}"
    for still in shot.stills:
        gain = choice.gains[choice.stills.index(still)]
        yield {
            "shot": name,
            "frames": frames,
            "picture": still_picture(still, film, folder),
            "caption": f"{still_name(still)}: takes off {max(gain, 0.0):.2f}",
        }
    if not shot.stills:
        like = ", ".join(path.name for path in shot.references)
        missing = "keeps its own colour" if shot.keep_colour else f"no still: matched with {like or 'nothing'}"
        yield {"shot": name, "frames": frames, "picture": None, "caption": missing}


def still_picture(still: int, film: Film, folder: Path) -> str:
    """A still as it lies in the folder, coloured or not, small, as text that stands in a page."""
    import cv2

    from flowchroma.film.image_files import read_image

    path = folder / still_name(still)
    rgb = read_image(path) if path.exists() else gray_of(shown_frame(film, still))
    width = max(1, round(rgb.shape[1] * _HEIGHT / rgb.shape[0]))
    return jpeg_uri(cv2.resize(rgb, (width, _HEIGHT), interpolation=cv2.INTER_AREA))


def jpeg_uri(rgb: np.ndarray) -> str:
    """A picture, (H, W, 3) uint8, as text that stands in a page."""
    from flowchroma.film.image_files import encode_jpeg

    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(rgb, _QUALITY)).decode()}"


def thinned(values: np.ndarray) -> dict[str, Sequence[float]]:
    """Means of neighbours, where there are more points than can be seen."""
    width = max(1, math.ceil(len(values) / _POINTS))
    starts = np.arange(0, len(values), width)
    means = np.add.reduceat(values, starts) / np.diff([*starts, len(values)])
    return {"x": starts.tolist(), "y": means.round(3).tolist()}
