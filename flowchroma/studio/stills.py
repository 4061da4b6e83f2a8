"""The stills of a project: which there are, how coloured ones fit, and pictures that are dropped for them."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film import Film
from flowchroma.film.references import has_colour
from flowchroma.plans.fitting import fit_keyframe
from flowchroma.plans.gain_file import PLANNED, read_gains
from flowchroma.plans.keyframes import Keyframe, fitted_one_by_one
from flowchroma.plans.plan_file import Plan, PlannedShot, still_name, write_plan, write_stills
from flowchroma.studio.project import Project, stamp

LARGEST = 256 * 1024 * 1024  # bytes of a picture
_PIXELS = 200_000_000  # of a picture: its header is asked before it is decoded
_REPLACED = "replaced"  # folder of pictures that others took the place of


@dataclass(frozen=True)
class Still:
    """A still of the plan."""

    frame: int
    shot: int  # counted from 1
    path: Path
    coloured: bool
    gain: float | None  # CIELAB units, mean over the film; None where it is not known
    words: str  # how a coloured one fits


class Stills:
    """Reads and changes the stills of a project.

    Args:
        project: The project.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._read: dict[Path, tuple[tuple[int, int], Keyframe | None, str]] = {}  # None: gray

    def all(self) -> list[Still]:
        """The plan's, in order; none where there is no plan."""
        plan, gains = self._project.plan, read_gains(self._project.folder / PLANNED)
        return [
            self._still(frame, at, gains) for at, s in enumerate(plan.shots if plan else (), 1) for frame in s.stills
        ]

    def fitted(self, named: Mapping[int, Path], film: Film) -> list[Keyframe]:
        """As `fitted_one_by_one`, without a word on gray ones; what did not change is remembered."""
        return [keyframe for frame, path in named.items() if (keyframe := self._fit(frame, path, film)[0])]

    def accept(self, frame: int, dropped: Path, name: str) -> str:
        """Take a coloured picture for a still, and say how it fits.

        Raises:
            UserError: It is none, still gray, or shows another frame: nothing is changed.
        """
        rgb = checked_picture(dropped, name)
        if not has_colour(rgb):
            raise UserError(f"{name} is gray: colour it, save it, and drop it again")
        with self._project.lock:
            fit = fit_keyframe(rgb, self._project.film, frame)
            if fit.looks_like is not None:
                raise UserError(
                    f"{name} does not show frame {frame}, it looks like frame {fit.looks_like}: choose or add that"
                    " frame, and drop it there"
                )
            if not fit.fits:
                raise UserError(
                    f"{name} does not show frame {frame}, nor one near it: drop it as a picture of something else"
                )
            self._put(self._project.folder / still_name(frame), rgb)
        return f"{name} {fit.words}" if fit.words else f"{name} fits frame {frame} exactly"

    def add(self, frames: Sequence[int]) -> None:
        """Make frames stills of the plan, and write their gray pictures.

        Raises:
            UserError: The film has no such frame, or the plan cannot be written.
        """
        with self._project.lock:
            plan = self._plan()
            for frame in frames:
                if not 0 <= frame < plan.film.frames:
                    raise UserError(f"the film has no frame {frame}: its frames are 0 to {plan.film.frames - 1}")
            write_stills(self._project.folder, self._project.film, frames)
            shots = [
                replace(shot, stills=tuple(sorted({*shot.stills, *(f for f in frames if shot.start <= f < shot.stop)})))
                for shot in plan.shots
            ]
            write_plan(self._project.folder, replace(plan, shots=tuple(shots)))

    def remove(self, frame: int) -> None:
        """Take a still out of the plan; its picture is kept where it is coloured."""
        with self._project.lock:
            plan, path = self._plan(), self._project.folder / still_name(frame)
            shots = [_without(shot, frame, path) for shot in plan.shots]
            if path.exists() and self._fit(frame, path, self._project.film)[0]:
                self._keep(path)
            path.unlink(missing_ok=True)
            write_plan(self._project.folder, replace(plan, shots=tuple(shots)))

    def uncolour(self, frame: int) -> None:
        """Put the gray picture of a still in the place of the coloured one, which is kept."""
        with self._project.lock:
            self._keep(self._project.folder / still_name(frame))
            write_stills(self._project.folder, self._project.film, [frame])

    def refer(self, dropped: Path, name: str, shots: Sequence[int]) -> str:
        """Take a picture of something else as a reference of shots, counted from 1; of all if none is named.

        Raises:
            UserError: It is none, or gray.
        """
        rgb = checked_picture(dropped, name)
        if not has_colour(rgb):
            raise UserError(f"{name} is gray: drop a coloured picture")
        with self._project.lock:
            plan = self._plan()
            stem = Path(name).stem if not Path(name).stem.isdigit() else f"picture {Path(name).stem}"
            path = self._project.folder / f"{_plain(stem)}.png"
            self._put(path, rgb)
            chosen = set(shots) or set(range(1, len(plan.shots) + 1))
            changed = [
                replace(s, references=(*s.references, path)) if at in chosen and path not in s.references else s
                for at, s in enumerate(plan.shots, 1)
            ]
            write_plan(self._project.folder, replace(plan, shots=tuple(changed)))
        where = "all shots" if not shots else f"shot {', '.join(map(str, sorted(chosen)))}"
        return f"{name} lends its colours to {where}"

    def _still(self, frame: int, shot: int, gains: Mapping[int, float]) -> Still:
        path = self._project.folder / still_name(frame)
        keyframe, words = self._fit(frame, path, self._project.film) if path.exists() else (None, "")
        return Still(frame, shot, path, keyframe is not None, gains.get(frame), words)

    def _fit(self, frame: int, path: Path, film: Film) -> tuple[Keyframe | None, str]:
        """A still as colouring reads it, and in words how it fits; None where it is gray."""
        with self._project.lock:
            now = stamp(path)
            if path not in self._read or self._read[path][0] != now:
                self._read[path] = (now, *_fit(frame, path, film))
            return self._read[path][1:]

    def _plan(self) -> Plan:
        plan = self._project.plan
        if plan is None:
            raise UserError("there are no shots yet: find shots and stills first")
        return plan

    def _put(self, path: Path, rgb: np.ndarray) -> None:
        from flowchroma.film.image_files import write_png

        if path.exists() and has_colour(checked_picture(path, path.name)):
            self._keep(path)
        side = path.with_name(f".{path.name}.partial")
        try:
            write_png(side, rgb)
            side.replace(path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}; make room") from error
        finally:
            side.unlink(missing_ok=True)

    def _keep(self, path: Path) -> None:
        """Move a picture aside, under the time at which something else took its place."""
        folder = self._project.folder / _REPLACED
        folder.mkdir(exist_ok=True)
        path.replace(folder / f"{path.stem} {datetime.now():%Y-%m-%d %H-%M-%S-%f}{path.suffix}")


def checked_picture(path: Path, name: str) -> np.ndarray:
    """A picture that somebody dropped, (H, W, 3) uint8 RGB.

    Raises:
        UserError: It is none, or larger than a picture is.
    """
    from PIL import Image, UnidentifiedImageError

    from flowchroma.film.image_files import decode_image, fill_transparent

    if path.stat().st_size > LARGEST:
        raise UserError(f"{name} has more than {LARGEST // 2**20} MB: save it as a PNG or JPEG of the frame's size")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as header:
                width, height = header.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UserError(f"{name} is no picture that can be read: save it as a PNG or JPEG, and drop it again") from None
    if width * height > _PIXELS:
        raise UserError(f"{name} has {width} x {height} pixels: save it with the frame's size, and drop it again")
    return fill_transparent(path, decode_image(path.read_bytes(), name))


def _fit(frame: int, path: Path, film: Film) -> tuple[Keyframe | None, str]:
    gray: list[Path] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            keyframe = next(fitted_one_by_one({frame: path}, film, gray))
        except UserError as error:
            return None, "" if gray else str(error)
    words = keyframe.fit.words if keyframe.fit else "its frame is damaged: it is used as a plain reference"
    return keyframe, words or "fits exactly"


def _without(shot: PlannedShot, frame: int, path: Path) -> PlannedShot:
    stills = tuple(still for still in shot.stills if still != frame)
    return replace(shot, stills=stills, references=tuple(other for other in shot.references if other != path))


def _plain(stem: str) -> str:
    """A file's name without what some systems do not allow."""
    return "".join(sign if sign.isalnum() or sign in " -_." else "-" for sign in stem).strip(". ") or "picture"
