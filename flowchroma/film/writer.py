"""Where a film is written to, and that it is there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.film import Film

# Suffix of a film to the container written.
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


class FrameWriter(Protocol):
    """Takes frames in order."""

    def write(self, rgb: np.ndarray) -> None:
        """Append a frame, (H, W, 3) uint8 RGB, of the size of the first one.

        Raises:
            UserError: It cannot be written, as on a full disk.
        """
        ...


@contextmanager
def open_writer(
    path: str | Path,
    *,
    like: Film | None = None,
    fps: float | str = 25,
    crf: float = 17,
    gop: int | None = None,
) -> Iterator[FrameWriter]:
    """Write a film, as H.264 in a file or as PNG frames in a folder, beside its place until it is whole.

    A file keeps the times of `like`'s frames and a copy of its sound; a folder keeps the names of its frames, where
    `like` is one. When the block fails, nothing appears under `path`, and a film that was there stays.

    Args:
        path: A film file (.mp4, .mov, .mkv), or a folder: any path without a suffix, or one that ends in a slash.
        like: The film that frames were made from.
        fps: Frames per second where `like` has no times: a number, or a fraction such as "24000/1001".
        crf: x264's constant rate factor, 0 (lossless) to 51; about 17 looks like the original.
        gop: Frames from one key frame of a film to the next, at most: the fewer, the faster any one of them is found.

    Raises:
        UserError: The path is the source itself, a folder that holds files, of an unknown suffix, or cannot be
            written; or `fps` or `crf` is out of range.
    """
    target, container = _target(str(path))
    _refuse_overwriting(target, container, like)
    rate = frame_rate(fps)
    if not isinstance(crf, int | float) or not 0 <= crf <= 51:
        raise UserError(f"the quality (crf) must be a number from 0 (best) to 51, not {crf}", code=2)
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        side = Path(tempfile.mkdtemp(prefix=".flowchroma-", dir=target.parent))
    try:
        from flowchroma.film.encoder import FolderWriter, VideoWriter

        unfinished = side / "film"
        writer = (
            VideoWriter(unfinished, container, like, rate, crf, gop) if container else FolderWriter(unfinished, like)
        )
        try:
            yield _Guarded(writer, target)
            with _writing(target):
                writer.finish()
        finally:
            writer.close()
        with _writing(target):
            if target.is_dir():  # an empty one: not every system renames over it
                target.rmdir()
            unfinished.replace(target)
    finally:
        shutil.rmtree(side, ignore_errors=True)


def frame_rate(fps: float | str) -> Fraction:
    """The exact rate meant by a number: 23.976 is 24000/1001.

    Raises:
        UserError: It is no number, or not positive.
    """
    try:
        exact = Fraction(str(fps))
    except (ValueError, ZeroDivisionError):
        exact = Fraction(0)
    if not 0 < exact <= 1000:
        raise UserError(f"fps must be a number above 0, such as 25 or 24000/1001, not {fps}", code=2)
    ntsc = Fraction(round(exact) * 1000, 1001)
    return ntsc if exact.denominator != 1 and abs(ntsc - exact) < Fraction(5, 1000) else exact.limit_denominator(1001)


class _Guarded:
    """A writer whose failures are told to the user."""

    def __init__(self, writer: FrameWriter, target: Path) -> None:
        self._writer = writer
        self._target = target

    def write(self, rgb: np.ndarray) -> None:
        with _writing(self._target):
            self._writer.write(rgb)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    from av.error import FFmpegError

    try:
        yield
    except (OSError, FFmpegError) as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from error


def _target(path: str) -> tuple[Path, str | None]:
    target = Path(path).expanduser()
    suffix = target.suffix.lower()
    if path.endswith(("/", os.sep)) or (target.is_dir() and suffix not in CONTAINERS) or not suffix:
        return target, None
    if suffix not in CONTAINERS:
        raise UserError(
            f"cannot write {target}: films end in {', '.join(CONTAINERS)}; "
            "for a folder of frames, give a name without a suffix or end it with /"
        )
    return target, CONTAINERS[suffix]


def _refuse_overwriting(target: Path, container: str | None, like: Film | None) -> None:
    source = getattr(like, "path", None)
    if source is not None and target.resolve() == Path(source).resolve():
        raise UserError(f"the output {target} is the source itself: give it another name")
    if container and target.is_dir():
        raise UserError(f"cannot write the film {target}: a folder has that name; give it another one")
    if container is None and target.exists() and (not target.is_dir() or any(target.iterdir())):
        kind = "a folder that holds files" if target.is_dir() else "a file"
        raise UserError(f"the output {target} is {kind}: give another name, or remove it first")
