"""Coloured pictures of a film's frames, each at its frame's number."""

import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film import Film, read_reference, shown_frame
from flowchroma.film.film import check_indices
from flowchroma.film.references import has_colour, has_one_hue
from flowchroma.film.suffixes import FRAME_SUFFIXES
from flowchroma.plans.fitting import Fit, fit_keyframe
from flowchroma.plans.frame_names import frame_of_name

_NAMED = 5  # pictures in one line


@dataclass(frozen=True)
class Keyframe:
    """A coloured picture of a frame."""

    frame: int  # its number
    rgb: np.ndarray  # (H, W, 3) uint8, on the frame's grid; where it does not fit, of its own size
    origin: str  # the picture's path, or "frame 240 of street"
    fit: Fit | None = None  # None: nothing to compare, as it is a frame of the film itself, or its frame is damaged

    @property
    def fits(self) -> bool:
        """Whether it was compared with its frame, and shows it."""
        return self.fit is not None and self.fit.fits


def fitted_one_by_one(named: Mapping[int, Path], film: Film, gray: list[Path] | None = None) -> Iterator[Keyframe]:
    """Read the pictures of frames and fit each to its own, with a warning for each that is not exactly its frame.

    Each comes before the next one is read: those that are dropped take no memory.

    Args:
        named: The pictures by their frames' numbers, as `keyframe_files` finds them.
        film: The film.
        gray: Gets those that are still to be coloured.

    Raises:
        UserError: A picture cannot be read, or all of them are gray.
    """
    gray = [] if gray is None else gray
    for frame, path in named.items():
        keyframe = _read(path, frame, film)
        if keyframe is None:
            gray.append(path)
        else:
            yield keyframe
    if gray:
        names = ", ".join(path.name for path in gray[:_NAMED]) + (", ..." if len(gray) > _NAMED else "")
        told = f"{len(gray)} of {len(named)} keyframes in {gray[0].parent} are still gray: {names}"
        if len(gray) == len(named):
            raise UserError(f"{told}: colour one of them first")
        warnings.warn(f"{told}: they are left out", stacklevel=2)


def keyframe_files(
    folder: str | Path, film: Film, rate: Fraction | None = None, skip: Collection[Path] = ()
) -> dict[int, Path]:
    """The pictures in a folder of keyframes by the frames that their names stand for, in order; none is opened.

    Args:
        folder: Its pictures are named by frame numbers, from 0, or timecodes: see `frame_of_name`.
        film: The film to be coloured.
        rate: Frames per second by which timecodes are counted where the film has no rate of its own.
        skip: Pictures in the folder that are something else.

    Raises:
        UserError: The folder is missing or has no picture, or a picture has no number, or that of no frame or of
            another picture's.
    """
    named: dict[int, Path] = {}
    skipped = {path.absolute() for path in skip}
    for path in _pictures(Path(folder).expanduser()):
        if path.absolute() in skipped:
            continue
        try:
            frame = frame_of_name(path.stem, film, rate)
        except UserError as error:
            raise UserError(f"the keyframe {path} {error}") from error
        if frame in named:
            raise UserError(f"{named[frame]} and {path.name} are both frame {frame}: keep one of them")
        check_indices(f"the keyframe {path}: {film.path or film.name}", [frame], len(film))
        named[frame] = path
    return dict(sorted(named.items()))


def keyframe_of_film(number: int, film: Film) -> Keyframe:
    """A frame of the film in its own colours.

    Raises:
        UserError: There is no such frame, or it has no colour.
    """
    rgb, frame = read_reference(number, film)
    assert frame is not None
    return Keyframe(frame, rgb, f"frame {frame} of {film.name}")


def _pictures(folder: Path) -> list[Path]:
    if not folder.exists():
        raise UserError(f"no folder of keyframes at {folder}: check the path")
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: put keyframes into one, named by their frames' numbers: 000240.png")
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot list the folder {folder}: {error.strerror or error}") from error
    found = [file for file in files if file.suffix.lower() in FRAME_SUFFIXES and not file.name.startswith(".")]
    if not found:
        raise UserError(f"no keyframes in {folder}: looked for {' '.join(sorted(FRAME_SUFFIXES))} files")
    return found


def _read(path: Path, frame: int, film: Film) -> Keyframe | None:
    """A keyframe fitted to its frame; None where it is gray."""
    from flowchroma.film.image_files import fill_transparent, read_image

    rgb = fill_transparent(path, read_image(path))
    if not has_colour(rgb):
        return None
    try:
        own = shown_frame(film, frame)
    except UserError as error:
        warnings.warn(f"the keyframe {path} is used as a plain reference: {error}", stacklevel=3)
        return Keyframe(frame, rgb, str(path))
    if has_one_hue(rgb):
        if has_colour(own) and has_one_hue(own):  # exported from a toned film, and not coloured yet
            return None
        warnings.warn(f"the keyframe {path} has one hue, like a tinted gray picture", stacklevel=3)
    fit = fit_keyframe(rgb, film, frame)
    if fit.words:
        warnings.warn(f"the keyframe {path} {fit.words}", stacklevel=3)
    return Keyframe(frame, fit.rgb, str(path), fit)
