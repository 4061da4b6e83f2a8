"""A film's plan as a folder: plan.yaml, which people may edit, and the stills that are to be coloured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from flowchroma.color import lab_to_rgb8, rgb_to_lab
from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically
from flowchroma.film.film import FileState, Film
from flowchroma.film.held import shown_frame

FILE = "plan.yaml"
_HEAD = """\
# The plan of a film. Colour the pictures beside this file that are named by frame numbers; save each under its name.
#
# What may be edited:
#   stills       frames of the shot, counted from 0, of which a coloured picture lies or is to lie beside this file,
#                such as 000240.png; [] for none
#   references   pictures that show what the shot shows, also of something else: ["harbour.jpg", "/pictures/sea.png"];
#                paths count from this folder
#   keep_colour  true keeps the colour that the film has in the shot
#   frames       first and last frame of the shot; every frame of the film belongs to exactly one shot
# Leave what is under "film" as it is: it tells whether a plan is this film's.
"""


@dataclass(frozen=True)
class FilmIdentity:
    """What tells a film from another."""

    path: str
    name: str
    bytes: int  # of its file, or of all its pictures; 0 where it has none
    frames: int
    size: tuple[int, int]  # (H, W)

    @staticmethod
    def of(film: Film) -> "FilmIdentity":
        """A film's own.

        Raises:
            UserError: Its files cannot be read.
        """
        size = FileState.of(film).size
        path = film.path.absolute() if film.path else None
        height, width = film.size
        return FilmIdentity(str(path or ""), path.name if path else film.name, size, len(film), (height, width))

    def is_same(self, other: "FilmIdentity") -> bool:
        """Whether both are of one film, which may have been moved."""
        return replace(self, path=other.path) == other


@dataclass(frozen=True)
class PlannedShot:
    """A shot, and where its colours come from."""

    start: int
    stop: int  # one past its last frame
    stills: tuple[int, ...] = ()  # frames that are coloured by hand, rising
    references: tuple[Path, ...] = ()  # pictures of something else
    keep_colour: bool = False  # the film's own


@dataclass(frozen=True)
class Plan:
    """A film's shots, which hold every frame once, and the stills of each."""

    film: FilmIdentity
    shots: tuple[PlannedShot, ...]

    @property
    def stills(self) -> tuple[int, ...]:
        """Those of all shots."""
        return tuple(still for shot in self.shots for still in shot.stills)

    @property
    def others(self) -> tuple[Path, ...]:
        """References that are named by no frame number: they show something else than the film."""
        paths = (path for shot in self.shots for path in shot.references)
        return tuple(dict.fromkeys(path for path in paths if not path.stem.isdigit()))


def write_plan(folder: Path, plan: Plan) -> None:
    """Write plan.yaml into a folder, which is made if it is not there.

    Raises:
        UserError: It cannot be written.
    """
    film = plan.film
    lines = [
        _HEAD,
        "film:",
        f"  path: {_quoted(film.path)}",
        f"  name: {_quoted(film.name)}",
        f"  bytes: {film.bytes}",
        f"  frames: {film.frames}",
        f"  size: [{film.size[0]}, {film.size[1]}] # height, width",
        "",
        "shots:",
    ]
    for shot in plan.shots:
        lines += [
            f"  - frames: [{shot.start}, {shot.stop - 1}]",
            f"    stills: [{', '.join(map(str, shot.stills))}]",
            f"    references: [{', '.join(_quoted(_from(folder, path)) for path in shot.references)}]",
            f"    keep_colour: {str(shot.keep_colour).lower()}",
        ]
    try:
        write_atomically(folder / FILE, "\n".join(lines) + "\n")
    except OSError as error:
        raise _not_written(folder / FILE, error) from error


def write_stills(folder: Path, film: Film, numbers: Sequence[int]) -> None:
    """Write frames as gray pictures of full size, under their numbers, but for those that have a picture.

    Raises:
        UserError: A frame cannot be read, or a picture not be written.
    """
    from flowchroma.film.image_files import write_png

    for number in numbers:
        path = folder / still_name(number)
        if path.exists():
            continue
        gray = gray_of(shown_frame(film, number))
        side = path.with_name(f".{path.name}.partial")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_png(side, gray)
            side.replace(path)
        except OSError as error:
            raise _not_written(path, error) from error
        finally:
            side.unlink(missing_ok=True)


def still_name(number: int) -> str:
    """The file of a still: 000240.png."""
    return f"{number:06}.png"


def gray_of(rgb: np.ndarray) -> np.ndarray:
    """A picture's luminance alone, (H, W, 3) uint8 RGB."""
    lab = rgb_to_lab(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None])
    lab[:, 1:] = 0
    return lab_to_rgb8(lab)[0, 1].expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()


def _from(folder: Path, path: Path) -> str:
    """A path as the file says it: from the folder where it lies in there."""
    try:
        return str(path.relative_to(folder))
    except ValueError:
        return str(path.absolute())


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf")).strip()


def _not_written(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {path}: {error.strerror or error}; choose another folder or make room")
