"""Where a film is written to, and that it is there whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.encoding_settings import Settings, settings_of
from flowchroma.film.film import OpenedFilm
from flowchroma.film.targets import put, refuse_overwriting, target_of, writing


class FrameWriter(Protocol):
    """Takes frames in order."""

    @property
    def deep(self) -> bool:
        """Whether they are uint16, of a film of more than 8 bits a sample."""
        ...

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
    target, container = target_of(str(path))
    refuse_overwriting(target, container, like, overwrite)
    settings = settings_of(fps, crf, gop, deep)
    with _side_folder(target) as side:
        yield from _written(side, target, container, like, settings, keep)


@contextmanager
def _side_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target, for as long as the film is not whole."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        side = Path(tempfile.mkdtemp(prefix=".flowchroma-", dir=target.parent))
    try:
        yield side
    finally:
        shutil.rmtree(side, ignore_errors=True)


def _written(
    side: Path, target: Path, container: str | None, like: OpenedFilm | None, settings: Settings, keep: bool
) -> Iterator[FrameWriter]:
    from flowchroma.film.outputs import FolderWriter, VideoWriter, tell_of_folder  # need PyAV and OpenCV

    writer: Output
    if container:
        writer = VideoWriter(side, container, like, settings)
    else:
        writer = FolderWriter(side / "film", like, settings.deep)
        tell_of_folder(like, writer.deep)
    guarded = _Guarded(writer, target, keep)
    try:
        yield guarded
        with guarded.keeping(), writing(target):
            put(writer.finish(), target)
    finally:
        writer.close()


class _Guarded:
    """A writer whose failures are told to the user, and cost no frame that is done."""

    def __init__(self, writer: "Output", target: Path, keep: bool) -> None:
        self._writer, self._target, self._keeps = writer, target, keep
        self.deep = writer.deep

    def write(self, rgb: np.ndarray) -> None:
        with self.keeping(), writing(self._target):
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


def _free(path: Path) -> Path:
    names = (path, *(path.with_name(f"{path.stem}{n}{path.suffix}") for n in range(2, 1000)))
    return next((name for name in names if not name.exists()), path)
