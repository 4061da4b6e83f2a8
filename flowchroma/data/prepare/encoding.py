"""Encoding films with more key frames, so that random access to their frames is fast."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from flowchroma.errors import UserError
from flowchroma.film import Film, VideoFile, open_film, open_writer
from flowchroma.film.targets import CONTAINERS


@dataclass
class EncodingResult:
    """How many films were encoded, and what could not be."""

    encoded: int = 0
    copied: int = 0  # films with enough key frames
    present: int = 0  # films that the target had already
    folders: int = 0  # of frames, which need no encoding
    problems: list[str] = field(default_factory=list)  # a line for each film that could not be read


def encode(
    films: Sequence[Film],
    target: Path,
    gop: int = 12,
    crf: float = 17,
    progress: Callable[[str], None] = lambda name: None,
) -> EncodingResult:
    """Encode films as H.264 with a key frame at least every `gop` frames; number, times and size of frames stay.

    Files appear under the target when they are complete; those that exist already are left as they are.

    Args:
        films: those that are video files are encoded.
        target: folder for them; they keep their names.
        gop: frames from one key frame to the next, at most.
        crf: x264's constant rate factor.
        progress: called with the name of each film that is done.

    Raises:
        UserError: `gop` is not a whole number above 0, or a film cannot be written.
    """
    if not isinstance(gop, int) or gop < 1:
        raise UserError(f"gop must be a number of frames from 1 on, not {gop}", code=2)
    result = EncodingResult()
    for film in films:
        if film.path is None or film.path.is_dir():
            result.folders += 1
            continue
        try:
            _encode_one(film.name, film.path, target, gop, crf, result)
        except _UnreadableError as error:
            result.problems.append(f"{film.name}: {error}")
        progress(film.name)
    return result


class _UnreadableError(Exception):
    """One film cannot be read or written; tells this from a full disk, which stops all."""


def _encode_one(name: str, path: Path, target: Path, gop: int, crf: float, result: EncodingResult) -> None:
    try:
        film = open_film(path)
        assert isinstance(film, VideoFile)
        keys = [*film.index.keys, len(film)]
    except UserError as error:
        raise _UnreadableError(str(error)) from error
    seekable = max(after - key for key, after in pairwise(keys)) <= gop
    out = target / f"{name}{path.suffix if seekable or path.suffix.lower() in CONTAINERS else '.mp4'}"
    if out.exists():
        result.present += 1
    elif seekable:
        _copy(path, out)
        result.copied += 1
    else:
        try:
            _encode(film, out, gop, crf)
        except UserError as error:
            if isinstance(error.__cause__, OSError):  # the disk is full, or such
                raise
            raise _UnreadableError(str(error)) from error
        result.encoded += 1


def _encode(film: VideoFile, out: Path, gop: int, crf: float) -> None:
    frames = iter(film)
    with open_writer(out, like=film, crf=crf, gop=gop, keep=False) as writer:
        for number in range(len(film)):
            try:
                frame = next(frames)
            except UserError as error:
                raise _UnreadableError(str(error)) from error
            if number and frame.shape[:2] != film.size:
                raise _UnreadableError(f"frame {number} has another size")
            writer.write(frame)
    encoded = VideoFile(out)
    if (len(encoded), encoded.size) != (len(film), film.size) or not _same_times(film, encoded):
        out.unlink()
        raise _UnreadableError(f"{film.path} did not come out as it went in: its frames' number, size or times changed")


def _same_times(one: VideoFile, other: VideoFile) -> bool:
    """Whether the times of frames, from the first on, agree to the millisecond."""
    times = []
    for film in (one, other):
        base, at, _ = film.times
        times.append([float((time - at[0]) * base) for time in at])
    return all(abs(a - b) < 1e-3 for a, b in zip(*times, strict=True))


def _copy(path: Path, out: Path) -> None:
    part = Path(f"{out}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, part)
        part.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
