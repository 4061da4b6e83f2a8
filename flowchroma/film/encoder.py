"""Frames into an H.264 film or a folder of PNG files."""

from bisect import bisect_left
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import av.container
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from flowchroma.errors import UserError
from flowchroma.film.film import Film
from flowchroma.film.folder import FrameFolder
from flowchroma.film.frame_times import open_container
from flowchroma.film.image_files import write_png
from flowchroma.film.sound import Sound
from flowchroma.film.video import VideoFile

_ANY_START = 0x0200  # AVFMT_TS_DISCONT
_BT709 = 1  # the same code for primaries, transfer and matrix
_SOUND_AHEAD = 0.5  # seconds by which sound is written before the picture


class VideoWriter:
    """H.264 in BT.709, limited range, tagged so; 4:2:0, or 4:4:4 where a side is odd, which 4:2:0 cannot keep.

    Args:
        path: Where to.
        container: FFmpeg's name of the container.
        like: Gives frame times, pixel shape and sound, where it is a video file.
        rate: Frames per second otherwise.
        crf: x264's constant rate factor.
        gop: Frames from one key frame to the next, at most; None leaves it to x264.
    """

    def __init__(
        self, path: Path, container: str, like: Film | None, rate: Fraction, crf: float, gop: int | None = None
    ) -> None:
        self._like = like if isinstance(like, VideoFile) else None
        self._crf, self._gop = crf, gop
        self._rate = self._like.rate if self._like else rate
        self._time_base, self._times, self._last = self._like.times if self._like else (1 / rate, [], 1)
        self._count = 0
        self._reformatter = VideoReformatter()
        self._stream: av.VideoStream | None = None
        self._sound: Sound | None = None
        self._shape: tuple[int, ...] = ()
        # The header goes first, so that a browser can start before the whole film is there.
        options = {} if container == "matroska" else {"movflags": "+faststart"}
        self._output = av.open(str(path.absolute()), "w", format=container, container_options=options)

    def write(self, rgb: np.ndarray) -> None:
        """See `FrameWriter`."""
        if self._stream is None:
            self._start(*rgb.shape[:2])
        assert self._stream is not None
        if rgb.shape != self._shape or rgb.dtype != np.uint8:
            raise ValueError(f"frame {self._count} is {rgb.shape} {rgb.dtype}, not {self._shape} uint8")
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            format=self._stream.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = self._time(self._count), self._time_base
        self._count += 1
        self._mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds, the rest of the sound, and the header."""
        if self._stream is None:
            raise UserError("nothing to write: the film has no frame")
        self._mux(self._stream.encode(None))
        if self._sound:
            self._sound.finish()
        self._output.close()

    def close(self) -> None:
        """Let go of the files, finished or not."""
        if self._sound:
            self._sound.close()
        with suppress(FFmpegError):  # unfinished, and about to be removed
            self._output.close()

    def _start(self, height: int, width: int) -> None:
        # A short lookahead bounds the frames in memory; at constant quality it costs a few percent of size.
        options = {"crf": str(self._crf), "preset": "medium", "rc-lookahead": "20"}
        if self._gop is not None:
            options["g"] = str(self._gop)
        stream = self._output.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
        context = stream.codec_context
        context.time_base = stream.time_base = self._time_base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        self._shift = Fraction(0)
        if self._like:
            context.sample_aspect_ratio = self._like.pixel_aspect
            self._shift = _clock_start(self._like.path)
            self._sound = Sound(self._like.path, self._output, self._shift)
        self._stream, self._shape = stream, (height, width, 3)

    def _time(self, index: int) -> int:
        beyond = index - len(self._times) + 1
        if not self._times:
            return index
        time = self._times[index] if beyond <= 0 else self._times[-1] + beyond * self._last
        return time - round(self._shift / self._time_base)

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            packet.duration = self._duration(packet.pts or 0)
            if self._sound:
                self._sound.feed(float((packet.dts or 0) * self._time_base) + _SOUND_AHEAD)
            self._output.mux(packet)

    def _duration(self, pts: int) -> int:
        at = bisect_left(range(self._count), pts, key=self._time)
        return self._time(at + 1) - pts if at + 1 < max(self._count, len(self._times)) else self._last


class FolderWriter:
    """PNG frames: 00000.png onwards, or under the names of the frames they were made from."""

    def __init__(self, path: Path, like: Film | None) -> None:
        self._path = path
        self._digits = max(5, len(str(len(like) - 1))) if like is not None else 5
        stems = [file.stem for file in like.files] if isinstance(like, FrameFolder) else []
        self._stems = stems if len(set(stems)) == len(stems) else []  # a.jpg and a.png cannot both be a.png
        self._count = 0
        path.mkdir()

    def write(self, rgb: np.ndarray) -> None:
        """See `FrameWriter`."""
        named = self._count < len(self._stems)
        stem = self._stems[self._count] if named else f"{self._count:0{self._digits}}"
        write_png(self._path / f"{stem}.png", rgb)
        self._count += 1

    def finish(self) -> None:
        """Nothing is left to write."""

    def close(self) -> None:
        """Nothing is open."""


def _clock_start(path: Path) -> Fraction:
    """Seconds at which a film's clock starts, where its container lets it start anywhere, as broadcasts do."""
    with open_container(path) as container:
        starts_anywhere = container.format.flags & _ANY_START
        return Fraction(container.start_time or 0, av.time_base) if starts_anywhere else Fraction(0)
