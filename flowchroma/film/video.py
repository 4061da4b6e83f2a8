"""A video file, read frame-exact."""

import os
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.clocks import Clock
from flowchroma.film.film import Mended, check_indices, fit
from flowchroma.film.frame_times import (
    FrameIndex,
    Undecodable,
    build_index,
    decode,
    open_container,
    times,
    video_stream,
)
from flowchroma.film.pixels import Look, Pixels, deinterlaced, look_of


class VideoFile:
    """A film in a file, of anything that FFmpeg reads: sizes, rates and sound as they come, 8 to 16 bits.

    Frames come out as displayed: converted with the stream's own matrix and range, and upright as its rotation says.
    Copies of it, pickled or forked, open the file anew.

    Raises:
        UserError: The file is no film, or none of its frames can be decoded.
    """

    files: Sequence[Path] = ()  # no frame has a file of its own

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._cursor: _Cursor | None = None
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            frames = decode(container, stream, self.path)
            first = next((frame for frame in frames if isinstance(frame, av.VideoFrame)), None)
            if first is None:
                raise UserError(f"{self.path} holds no frame that can be decoded: it is damaged or incomplete")
            self._first_pts = first.pts
            self._time_base = stream.time_base or Fraction(1, 1000)
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self.look: Look = look_of(stream, first)
            self.size, self.pixel_aspect = self.look.size, self.look.pixel_aspect

    @cached_property
    def index(self) -> FrameIndex:
        """Where each frame lies. Built once, on first need."""
        return build_index(self.path, self._first_pts)

    @property
    def times(self) -> tuple[Fraction, list[int], int]:
        """A time base in seconds, the time of each frame in it, and how long the last frame stays."""
        return times(self.index, self._time_base, self.rate)

    @property
    def depth(self) -> int:
        """Bits of a sample."""
        return self.look.bits

    @property
    def notes(self) -> list[str]:
        """A line for each thing about the file that its viewer should know."""
        index, lines = self.index, self.look.notes(self.path)
        if index.parts:
            many = len(index.parts)
            lines.append(f"the clock of {self.path} starts again within it: its {many} parts follow one another")
        if not index.pts:
            lines.append(
                f"{self.path} gives no usable times: its frames are counted, {float(self._counted_rate):g} a second"
            )
        if index.resized:
            frames = f"{index.resized} of {index.count} frames of {self.path} have"
            lines.append(f"{frames} another size than the first: they are fitted into {self.size[1]} x {self.size[0]}")
        return lines

    def __len__(self) -> int:
        """The exact number of frames shown."""
        return self.index.count

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `Film.read`. Always decodes in full: `at_least` saves nothing here."""
        check_indices(self.path, indices, len(self))
        if self._cursor is None or self._cursor.process != os.getpid():
            self._cursor = _Cursor(self.path, self.index, self.look)
        wanted = sorted(set(indices))
        frames = {index: self._cursor.read(index) for index in wanted}
        return [frames[index] for index in indices]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every frame in order, from a container of its own."""
        cursor = _Cursor(self.path, self.index, self.look)
        return (cursor.read(index) for index in range(len(self)))

    def attempt(
        self, deep: bool = False, only: Collection[int] | None = None
    ) -> Iterator[np.ndarray | Mended | UserError]:
        """See `OpenedFilm.attempt`. Interlaced frames come deinterlaced."""
        cursor, told = _Cursor(self.path, self.index, self.look), False
        stop = len(self) if only is None else max(only, default=-1) + 1
        frames: Iterator[av.VideoFrame | None] = (cursor.attempt(index) for index in range(stop))
        for index, frame in enumerate(deinterlaced(frames) if self.look.interlaced else frames):
            if only is not None and index not in only:
                continue
            if frame is None:
                yield cursor.undecodable(index)
                continue
            shown = cursor.pixels.rgb(frame, deep, exact=True)
            if shown.shape[:2] != self.size and not (told or self.index.resized):
                told = True
                warnings.warn(f"{self.path} changes size at frame {index}: fitted into that of the first", stacklevel=2)
            rgb = fit(shown, self.size)
            damaged = UserError(f"a part of frame {index} of {self.path} is damaged")
            yield Mended(rgb, damaged) if frame.is_corrupt else rgb

    def __getstate__(self) -> dict[str, Any]:
        """All but the open file."""
        return {**self.__dict__, "_cursor": None}

    @property
    def _counted_rate(self) -> Fraction:
        return self.index.rate or self.rate


class _Cursor:
    """An open video file and the frame it stands at."""

    def __init__(self, path: Path, index: FrameIndex, look: Look) -> None:
        self.process = os.getpid()  # a forked child shares the file's position with its parent, and must not use it
        self._path = path
        self._index = index
        self.pixels = Pixels(look)
        self._size = look.size
        self._container: av.container.InputContainer | None = None
        self._next = 0
        self._frames: Iterator[av.VideoFrame | Undecodable] = iter(())
        self._rewind()

    def read(self, index: int) -> np.ndarray:
        """A frame, from wherever it is found.

        Raises:
            UserError: It cannot be decoded, or has another size than the first.
        """
        frame = next((f for start in self._starts(index) if start() and (f := self._forward(index))), None)
        if frame is None:
            raise self.undecodable(index)
        rgb = self.pixels.rgb(frame)
        if rgb.shape[:2] != self._size:
            raise UserError(f"frame {index} of {self._path} changes size: such films cannot be read")
        return rgb

    def attempt(self, index: int) -> av.VideoFrame | None:
        """The next frame in order, if it can be decoded."""
        return self._forward(index)

    def undecodable(self, index: int) -> UserError:
        """What is said of such a frame."""
        return UserError(f"frame {index} of {self._path} cannot be decoded: the film is damaged there")

    def _starts(self, index: int) -> Iterator[Callable[[], bool]]:
        """Where to decode from, best first: here, the key before, the one before that, the beginning.

        A container may land behind the key it was asked for, or an open group of pictures may need the one before.
        """
        key = self._index.key_before(index)
        if self._index.keys[key] <= self._next <= index:
            yield lambda: True
        if self._index.pts and not self._index.parts:
            yield from (partial(self._seek, self._index.keys[k]) for k in (key, key - 1) if k > 0)
        yield self._rewind

    def _seek(self, start: int) -> bool:
        """Stand before a key frame; False where the container does not find it."""
        assert self._container is not None
        pts = self._index.pts[start]
        self._next = self._index.count  # nowhere, until the key is found
        self._container.seek(pts, stream=self._stream)
        frames = decode(self._container, self._stream, self._path)
        # Leading frames of an open group come before the key, and lack what they refer to.
        found = next((f for f in frames if f.pts is not None and f.pts >= pts), None)
        if not isinstance(found, av.VideoFrame) or found.pts != pts:
            return False
        if not (found.key_frame or self._index.from_packets):
            return False
        self._frames = chain([found], frames)
        self._next = start
        return True

    def _rewind(self) -> bool:
        if self._container is not None:
            self._container.close()
        self._container = open_container(self._path)
        self._stream = video_stream(self._container, self._path)
        self._frames = decode(self._container, self._stream, self._path, Clock(self._index.parts))
        self._next = 0
        return True

    def _forward(self, index: int) -> av.VideoFrame | None:
        """Decode up to a frame; None where the decoder steps over it."""
        pts = self._index.pts
        for frame in self._frames:
            if not pts:
                self._next += 1
                if self._next > index:
                    return frame if isinstance(frame, av.VideoFrame) else None
            elif isinstance(frame, av.VideoFrame) and frame.pts is not None and frame.pts >= pts[index]:
                self._next = index + 1
                if frame.pts == pts[index]:
                    return frame
                self._frames = chain([frame], self._frames)  # of a later number
                return None
        self._next = self._index.count
        return None
