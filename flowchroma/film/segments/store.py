"""Segments of a film that is being made, on disk."""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flowchroma.errors import UserError
from flowchroma.files.durable import sync
from flowchroma.film.encoding_settings import Settings, settings_of
from flowchroma.film.film import FileState, OpenedFilm
from flowchroma.film.segments.work import TakenError, Work, segment_name
from flowchroma.film.targets import FULL, put, refuse_overwriting, target_of, writing
from flowchroma.film.writer import FrameWriter

if TYPE_CHECKING:
    from flowchroma.film.segments.kinds import Kept, Kind, SegmentWriter

Segment = tuple[int, int, str]  # frames [start, stop), and the key they are made under


@contextmanager
def open_segments(
    output: str | Path,
    *,
    like: OpenedFilm,
    job: Mapping[str, Any] | None = None,
    fps: float | str = 25,
    crf: float | str = 17,
    gop: int | None = None,
    deep: bool = False,
    span: tuple[int, int] | None = None,
    overwrite: bool = False,
    shared: bool = False,
) -> Iterator["SegmentStore"]:
    """Write a film by segments that are kept in a hidden folder beside it, until they are joined.

    Opened again after whatever ended the process, it goes on with those that are there. Where the block fails before
    one is done, nothing is left; else the error, or a warning, says that the same command goes on.

    Args:
        output: See `open_writer`; it appears when it is whole.
        like: The film that frames are made from. It gives times, sound and all else as for `open_writer`.
        job: What changes the frames, under the names of the user's options: numbers and texts. Work that was begun with
            other values, or of a film that changed, is refused.
        fps: See `open_writer`, as for `crf`, `gop` and `deep`.
        crf: Quality.
        gop: Frames from one key frame to the next, at most; each segment begins with one.
        deep: Take uint16 frames where the film has them.
        span: Frames [start, stop) that the output has, numbered as in `like`; None for all. It begins at time 0.
        overwrite: Replace an output that is there, and work that was begun with another job.
        shared: Let processes work on it together, each on segments that no other has taken.

    Raises:
        UserError: As `open_writer`; or another process makes this output; or the work was begun with another job.
        ValueError: The span is no part of the film.
    """
    target, container = target_of(str(output))
    work = Work(target)
    work.forget_done()
    refuse_overwriting(target, container, like, overwrite)
    settings = settings_of(fps, crf, gop, deep)
    begin, end = span or (0, len(like))
    if not 0 <= begin < end <= len(like):
        raise ValueError(f"frames {begin} to {end - 1} are no part of a film of {len(like)} frames")
    encoding = {"fps": str(settings.rate), "quality": crf, "gop": gop, "deep": deep}
    with work.opened({**encoding, **(job or {})}, _fingerprint(like), overwrite, shared):
        kind = _kind(work, container, like, settings, span)
        with _told(work):
            yield SegmentStore(
                work, kind, (begin, end), shared, lambda: refuse_overwriting(target, container, like, overwrite)
            )


class SegmentStore:
    """What is done of a film that is being made; see `open_segments`."""

    def __init__(
        self, work: Work, kind: "Kind", span: tuple[int, int], shared: bool, refuse: Callable[[], None]
    ) -> None:
        self._work, self._kind, self._shared, self._refuse = work, kind, shared, refuse
        self.span = span  # of the output
        self.deep = kind.deep  # whether frames are uint16
        self.folder = work.path  # where the caller may keep files of the same job

    @property
    def frames(self) -> int:
        """How many frames are kept."""
        return self._work.frames()

    @property
    def is_joined(self) -> bool:
        """Whether the film is in its place, here or by another process, and its segments are removed."""
        return not self._work.is_there

    def has(self, start: int, stop: int, key: str) -> bool:
        """Whether frames [start, stop) made under `key` are done, and lie on the disk as they were written.

        The key stands for all that the frames depend on: a short string of letters and digits, such as a hash.
        """
        return self._kept(segment_name(start, stop, key)) is not None

    @contextmanager
    def segment(self, start: int, stop: int, key: str) -> Iterator[FrameWriter]:
        """Write frames [start, stop): they are kept when the block ends, if it does so without an error.

        Raises:
            TakenError: Another process writes them, or has just done so, or has joined the film.
            UserError: They cannot be written.
            ValueError: The block wrote too many or too few of them.
        """
        name = segment_name(start, stop, key)
        if not 0 <= start < stop:
            raise ValueError(f"no frames from {start} to {stop}")
        with self._work.written(name) as (folder, kept):
            if self._shared and self.has(start, stop, key):
                raise TakenError(f"another process has just written {name} of {self._work.target}")
            with writing(self._work.target):
                writer = self._kind.open(folder, start)
            try:
                counted = _Counted(writer, stop - start, self.deep, self._work.target)
                yield counted
                kept.update(counted.finish())
            finally:
                writer.close()

    def join(self, segments: Sequence[Segment], remove: bool = True) -> Path:
        """Put the film together, without encoding anew, check it, and move it to its place.

        Args:
            segments: All of them, in order: together they are the frames of the output.
            remove: Remove the segments, and all else in their folder.

        Returns:
            Where it lies.

        Raises:
            UserError: A segment is not there, or the film cannot be written.
            ValueError: The segments leave frames out, or have some twice.
        """
        ends = [self.span[0], *(stop for _, stop, _ in segments)]
        if [start for start, _, _ in segments] != ends[:-1] or ends[-1] != self.span[1]:
            raise ValueError(f"the segments do not make up frames {self.span[0]} to {self.span[1] - 1}: {segments}")
        found = [self._found(*segment) for segment in segments]
        target, side = self._work.target, self._work.path / "joined"
        names = [segment_name(*segment) for segment in segments]
        with self._work.lock("all frames"), writing(target):
            if self._shared and self._work.has_joined(names):
                return target
            shutil.rmtree(side, ignore_errors=True)
            side.mkdir()
            made = self._kind.join(found, side)
            sync(made)
            self._refuse()
            if remove:
                self._work.note_done(made)
            put(made, target)
            sync(target.parent)
            if remove:
                self._work.remove()
            else:
                self._work.note_joined(names)
        return target

    def _found(self, start: int, stop: int, key: str) -> "Kept":
        name = segment_name(start, stop, key)
        kept = self._kept(name)
        if kept is None:
            raise UserError(
                f"frames {start} to {stop - 1} of {self._work.target} are missing or damaged: run the command again"
            )
        return self._work.segment(name), kept

    def _kept(self, name: str) -> dict[str, Any] | None:
        kept = self._work.index(name)
        return kept if kept is not None and self._kind.fits(kept) else None


class _Counted:
    """Writes a segment, all of whose frames must come."""

    def __init__(self, writer: "SegmentWriter", count: int, deep: bool, target: Path) -> None:
        self._writer, self._count, self._target = writer, count, target
        self.deep = deep
        self._written = 0

    def write(self, rgb: np.ndarray) -> None:
        """See `FrameWriter`."""
        if self._written == self._count:
            raise ValueError(f"the segment has {self._count} frames, and one more was written")
        with writing(self._target):
            self._writer.write(rgb)
        self._written += 1

    def finish(self) -> dict[str, Any]:
        if self._written < self._count:
            raise ValueError(f"the segment has {self._count} frames, and {self._written} were written")
        with writing(self._target):
            return self._writer.finish()


@contextmanager
def _told(work: Work) -> Iterator[None]:
    """Say, where the block fails, that what is done is kept."""
    try:
        yield
    except BaseException as error:
        count = work.frames()
        if not count:
            raise
        room = "once there is room, " if getattr(error.__cause__, "errno", None) in FULL else ""
        kept = f"{count} frames of {work.target} are done and kept: {room}the same command goes on"
        if not isinstance(error, UserError):
            warnings.warn(kept, stacklevel=2)
            raise
        raise UserError(f"{error}; {kept}", error.code) from error


def _kind(
    work: Work, container: str | None, like: OpenedFilm, settings: Settings, span: tuple[int, int] | None
) -> "Kind":
    from flowchroma.film.segments.kinds import Frames, Pictures  # need PyAV and OpenCV

    if not container:
        return Frames(like, settings.deep)
    with writing(work.target), tempfile.TemporaryDirectory(prefix="trial-", dir=work.path) as side:
        return Pictures(Path(side), container, like, settings, span)


def _fingerprint(film: OpenedFilm) -> dict[str, Any]:
    """What changes with a film: of a folder, its pictures' together."""
    state = FileState.of(film)
    return {
        "name": film.name,
        "bytes": state.size,
        "changed": state.modified,
        "frames": len(film),
        "size": film.size,
    }
