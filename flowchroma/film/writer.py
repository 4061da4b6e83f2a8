"""Where a film is written to, and that it is there whole or not at all."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.encoding_settings import Settings
from flowchroma.film.film import OpenedFilm

# Suffix of a film to the container written.
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


class FrameWriter(Protocol):
    """Takes frames in order."""

    deep: bool  # whether they are uint16, of a film of more than 8 bits a sample

    def write(self, rgb: np.ndarray) -> None:
        """Append a frame, (H, W, 3) RGB, uint8 or `deep`, of the size of the first one.

        Raises:
            UserError: It cannot be written, as on a full disk.
        """
        ...


class Output(FrameWriter, Protocol):
    """A film that is being written."""

    def finish(self) -> Path:
        """Complete it; where it lies."""

    def part(self) -> tuple[Path, int] | None:
        """What is there so far, a file or folder that others can read, and of how many frames; None if of none."""

    def close(self) -> None:
        """Let go of the files, finished or not."""


@contextmanager
def open_writer(
    path: str | Path,
    *,
    like: OpenedFilm | None = None,
    fps: float | str = 25,
    crf: float | str = 17,
    gop: int | None = None,
    overwrite: bool = False,
    keep: bool = True,
    deep: bool = False,
) -> Iterator[FrameWriter]:
    """Write a film, as H.264 in a file or as PNG frames in a folder, beside its place until it is whole.

    A file keeps the times of `like`'s frames, and its sound, subtitles, chapters, tags and covers; each thing that its
    container cannot hold is warned of before the first frame. When the block fails, what was at `path` stays. Frames
    that are done are kept where writing fails: the error says under which name.

    Args:
        path: A film file (.mp4, .mov, .mkv), or a folder: any path without a suffix, or one that ends in a slash.
        like: The film that frames were made from; the frames of a folder keep their names.
        fps: Frames per second where `like` has no times: a number, or a fraction such as "24000/1001".
        crf: x264's constant rate factor, 0 (best) to 51, or "lossless", which browsers and televisions do not show.
        gop: Frames from one key frame of a film to the next, at most.
        overwrite: Replace a film that is there, or a folder that holds nothing but PNG files.
        keep: Keep frames that are done where writing fails.
        deep: Take uint16 frames where `like` has more than 8 bits a sample (the writer's `deep` says whether).

    Raises:
        UserError: The path is the source itself, there already, of an unknown suffix, or cannot be written; or `fps`
            or `crf` is out of range.
    """
    target, container = _target(str(path))
    _refuse_overwriting(target, container, like, overwrite)
    settings = Settings(frame_rate(fps), crf, gop, deep)
    _check_quality(crf)
    with _side_folder(target) as side:
        yield from _written(side, target, container, like, settings, keep)


@contextmanager
def _side_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target, for as long as the film is not whole."""
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        side = Path(tempfile.mkdtemp(prefix=".flowchroma-", dir=target.parent))
    try:
        yield side
    finally:
        shutil.rmtree(side, ignore_errors=True)


def _written(
    side: Path, target: Path, container: str | None, like: OpenedFilm | None, settings: Settings, keep: bool
) -> Iterator[FrameWriter]:
    from flowchroma.film.outputs import FolderWriter, VideoWriter  # need PyAV and OpenCV

    writer = VideoWriter(side, container, like, settings) if container else FolderWriter(side, like, settings)
    guarded = _Guarded(writer, target, keep)
    try:
        yield guarded
        with guarded.keeping(), _writing(target):
            _put(writer.finish(), target)
    finally:
        writer.close()


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
    """A writer whose failures are told to the user, and cost no frame that is done."""

    def __init__(self, writer: "Output", target: Path, keep: bool) -> None:
        self._writer, self._target, self._keeps = writer, target, keep
        self.deep = writer.deep

    def write(self, rgb: np.ndarray) -> None:
        with self.keeping(), _writing(self._target):
            self._writer.write(rgb)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Where what is in the block fails, move the frames that are done to where the user finds them."""
        try:
            yield
        except UserError as error:
            kept = self._keep() if self._keeps else None
            if kept is None:
                raise
            raise UserError(f"{error}; {kept[1]} frames that are done are kept in {kept[0]}", error.code) from error

    def _keep(self) -> tuple[Path, int] | None:
        try:
            part = self._writer.part()
            if part is None:
                return None
            path, count = part
            place = _free(self._target.with_name(f"{self._target.name}-part{path.suffix}"))
            path.replace(place)
        except OSError:
            return None
        return place, count


def _put(made: Path, target: Path) -> None:
    if target.is_dir():  # empty, or of frames that are to be replaced: not every system renames over it
        shutil.rmtree(target)
    made.replace(target)


def _free(path: Path) -> Path:
    names = (path, *(path.with_name(f"{path.stem}{n}{path.suffix}") for n in range(2, 1000)))
    return next((name for name in names if not name.exists()), path)


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


def _check_quality(crf: float | str) -> None:
    if crf == "lossless":
        warnings.warn("quality=lossless: browsers and televisions do not show such H.264 (High 4:4:4)", stacklevel=3)
    elif not isinstance(crf, int | float) or isinstance(crf, bool) or not 0 <= crf <= 51:
        raise UserError(f"the quality (crf) must be a number from 0 (best) to 51, or lossless, not {crf}", code=2)


def _refuse_overwriting(target: Path, container: str | None, like: OpenedFilm | None, overwrite: bool) -> None:
    source = getattr(like, "path", None)
    if source is not None and target.exists() and target.samefile(source):
        raise UserError(f"the output {target} is the source itself: give it another name")
    if container and target.is_dir():
        raise UserError(f"cannot write the film {target}: a folder has that name; give it another one")
    if container and target.exists() and not overwrite:
        raise UserError(f"the output {target} is there already: give another name, or overwrite=true")
    if container or not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"the output {target} is a file: give another name, or remove it first")
    inside = list(target.iterdir())
    if inside and not overwrite:
        raise UserError(f"the output {target} is a folder that holds files: give another name, or overwrite=true")
    if any(file.suffix.lower() != ".png" or not file.is_file() for file in inside):
        raise UserError(f"the output {target} holds more than PNG frames: give another name, or remove it first")
