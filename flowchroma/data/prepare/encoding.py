"""Encoding films anew, so that any of their frames is found fast."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from flowchroma.data.sources.source import ReadableFilm
from flowchroma.errors import UserError
from flowchroma.film import VideoFile, open_film, open_writer
from flowchroma.film.writer import CONTAINERS


@dataclass
class Encoded:
    """What came of encoding."""

    encoded: int = 0
    copied: int = 0  # films whose key frames were close enough
    there: int = 0  # films that were done before
    folders: int = 0  # of frames, which need none of it
    problems: list[str] = field(default_factory=list)  # a line for each film that could not be read


def encode(
    films: Sequence[ReadableFilm],
    target: Path,
    gop: int = 12,
    crf: float = 17,
    progress: Callable[[str], None] = lambda name: None,
) -> Encoded:
    """Encode films as H.264 with a key frame every `gop` frames at least; number, times and size of frames stay.

    A film appears under the target only when whole; one that is there already is left as it is.

    Args:
        films: those in files are encoded.
        target: folder that gets them, under their names.
        gop: frames from one key frame to the next, at most.
        crf: x264's constant rate factor.
        progress: is told the name of each film that is done.

    Raises:
        UserError: `gop` makes no sense, or a film cannot be written.
    """
    if not isinstance(gop, int) or gop < 1:
        raise UserError(f"gop must be a number of frames from 1 on, not {gop}", code=2)
    done = Encoded()
    for film in films:
        path: Path | None = getattr(film, "path", None)
        if path is None or path.is_dir():
            done.folders += 1
            continue
        try:
            original = open_film(path)
            assert isinstance(original, VideoFile)
            keys = [*original.index.keys, len(original)]
        except UserError as error:
            done.problems.append(f"{film.name}: {error}")
            continue
        near = max(after - key for key, after in pairwise(keys)) <= gop
        suffix = path.suffix if near or path.suffix.lower() in CONTAINERS else ".mp4"
        place = target / f"{film.name}{suffix}"
        if place.exists():
            done.there += 1
        elif near:
            _copy(path, place)
            done.copied += 1
        else:
            problem = _encode(original, place, gop, crf)
            done.problems += [f"{film.name}: {problem}"] if problem else []
            done.encoded += not problem
        progress(film.name)
    return done


def _encode(film: VideoFile, place: Path, gop: int, crf: float) -> str:
    """Encode one film; why it could not be read, or is not the same afterwards, if so."""
    frames = iter(film)
    try:
        with open_writer(place, like=film, crf=crf, gop=gop, keep=False) as writer:
            for number in range(len(film)):
                try:
                    frame = next(frames)
                except UserError as error:
                    raise _UnreadableError(str(error)) from error
                if number and frame.shape[:2] != film.size:
                    raise _UnreadableError(f"frame {number} has another size")
                writer.write(frame)
    except _UnreadableError as error:
        return str(error)
    except UserError as error:
        if isinstance(error.__cause__, OSError):  # the disk is full, or such
            raise
        return str(error)
    made = VideoFile(place)
    if (len(made), made.size) != (len(film), film.size) or not _same_times(film, made):
        place.unlink()
        return f"{film.path} did not come out as it went in: its frames' number, size or times changed"
    return ""


class _UnreadableError(Exception):
    """The film that is read is bad, not the one that is written."""


def _same_times(one: VideoFile, other: VideoFile) -> bool:
    """Whether frames follow each other as before, to the millisecond."""
    times = []
    for film in (one, other):
        base, at, _ = film.times
        times.append([float((time - at[0]) * base) for time in at])
    return all(abs(a - b) < 1e-3 for a, b in zip(*times, strict=True))


def _copy(path: Path, place: Path) -> None:
    part = Path(f"{place}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, part)
        part.replace(place)
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
