"""A video file, read frame-exact."""

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Colorspace, VideoReformatter

from flowchroma.errors import UserError
from flowchroma.film.film import check_indices
from flowchroma.film.frame_times import FrameIndex, build_index, decode, open_container, times, video_stream

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 720  # from here on, players take untagged film to be BT.709; below it, BT.601


class VideoFile:
    """A film in a file, of anything that FFmpeg reads: sizes, rates and sound as they come, 8 to 16 bits.

    Frames come out as displayed: converted with the stream's own matrix and range, and upright as its rotation says.
    Copies of it, pickled or forked, open the file anew.

    Raises:
        UserError: The file is no film, or its first frame cannot be decoded.
    """

    files: Sequence[Path] = ()  # no frame has a file of its own

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._cursor: _Cursor | None = None
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            try:
                first = next(decode(container, stream, self.path), None)
            except FFmpegError as error:
                raise UserError(f"the first frame of {self.path} cannot be decoded: the file is damaged") from error
            if first is None:
                raise UserError(f"{self.path} holds no frame that can be decoded")
            self._first_pts = first.pts
            self._time_base = stream.time_base or Fraction(1, 1000)
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            turned = _quarter_turns(first) % 2 == 1
            self.size = (first.width, first.height) if turned else (first.height, first.width)
            pixel = stream.sample_aspect_ratio or Fraction(1)
            self.pixel_aspect = 1 / pixel if turned and pixel else pixel

    @cached_property
    def index(self) -> FrameIndex:
        """Where each frame lies. Built once, on first need."""
        return build_index(self.path, self._first_pts)

    @property
    def times(self) -> tuple[Fraction, list[int], int]:
        """A time base in seconds, the time of each frame in it, and how long the last frame stays."""
        return times(self.index, self._time_base, self.rate)

    def __len__(self) -> int:
        """The exact number of frames shown."""
        return self.index.count

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `Film.read`. Always decodes in full: `at_least` saves nothing here."""
        check_indices(self.path, indices, len(self))
        if self._cursor is None or self._cursor.process != os.getpid():
            self._cursor = _Cursor(self.path, self.index)
        wanted = sorted(set(indices))
        frames = {index: self._cursor.read(index, self.size) for index in wanted}
        return [frames[index] for index in indices]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every frame in order, from a container of its own."""
        cursor = _Cursor(self.path, self.index)
        return (cursor.read(index, self.size) for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        """All but the open file."""
        return {**self.__dict__, "_cursor": None}


class _Cursor:
    """An open video file and the frame it stands at."""

    def __init__(self, path: Path, index: FrameIndex) -> None:
        self.process = os.getpid()  # a forked child shares the file's position with its parent, and must not use it
        self._path = path
        self._index = index
        self._reformatter = VideoReformatter()
        self._container: av.container.InputContainer | None = None
        self._next = 0
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._rewind()

    def read(self, index: int, size: tuple[int, int]) -> np.ndarray:
        try:
            frame = next((f for start in self._starts(index) if start() and (f := self._forward(index))), None)
        except FFmpegError as error:
            raise UserError(f"frame {index} of {self._path} cannot be decoded: the film is damaged") from error
        if frame is None:
            raise UserError(f"frame {index} of {self._path} cannot be decoded: the film is damaged there")
        rgb = self._to_rgb(frame)
        if rgb.shape[:2] != size:
            raise UserError(f"frame {index} of {self._path} changes size: such films cannot be read")
        return rgb

    def _starts(self, index: int) -> Iterator[Callable[[], bool]]:
        """Where to decode from, best first: here, the key before, the one before that, the beginning.

        A container may land behind the key it was asked for, or an open group of pictures may need the one before.
        """
        key = self._index.key_before(index)
        if self._index.keys[key] <= self._next <= index:
            yield lambda: True
        if self._index.pts:
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
        if found is None or found.pts != pts or not (found.key_frame or self._index.from_packets):
            return False
        self._frames = chain([found], frames)
        self._next = start
        return True

    def _rewind(self) -> bool:
        if self._container is not None:
            self._container.close()
        self._container = open_container(self._path)
        self._stream = video_stream(self._container, self._path)
        self._frames = decode(self._container, self._stream, self._path)
        self._next = 0
        return True

    def _forward(self, index: int) -> av.VideoFrame | None:
        """Decode up to a frame; None where the decoder steps over it."""
        pts = self._index.pts
        for frame in self._frames:
            if not pts:
                self._next += 1
                if self._next > index:
                    return frame
            elif frame.pts is not None and frame.pts >= pts[index]:
                self._next = index + 1
                return frame if frame.pts == pts[index] else None
        self._next = len(pts) or self._index.count
        return None

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        guess = None
        if frame.colorspace == _UNTAGGED and not frame.format.is_rgb:
            guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
        # Threads would multiply with those of data workers; one converts 1080p in 5 ms.
        rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=guess, threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, _quarter_turns(frame)))


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns counterclockwise that set a frame upright."""
    return round(frame.rotation / 90) % 4
