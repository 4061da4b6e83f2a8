"""Frames into the packets of a film, kept in a file until the film is put together."""

import io
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from flowchroma.film.excerpt import Excerpt
from flowchroma.film.film import Film
from flowchroma.film.picture import ROW, Part, Picture, rows_of
from flowchroma.film.pixels import EXACT
from flowchroma.film.schedule import Schedule
from flowchroma.film.video import VideoFile

_BT709 = 1  # the same code for primaries, transfer and matrix
_LOSSLESS = "lossless"
_BEST = 1.0  # x264 takes less for lossless, of which only the 4:4:4 profile is capable


class Encoder:
    """H.264, or H.265 of 10 bits, in BT.709, limited range, tagged so; 4:2:0, on a canvas of even sides.

    Packets go to a file as they are, one after the other: an elementary stream, which players show.

    Args:
        path: Of that file.
        size: (H, W) of the frames.
        like: Gives frame times and pixel shape, where it is a video file or some frames of one.
        rate: Frames per second otherwise.
        crf: x264's constant rate factor, or "lossless".
        gop: Frames from one key frame to the next, at most; None leaves it to x264.
        deep: Take uint16 frames, and keep 10 bits of them.
        first: Number of the first frame written, by which `like` gives its time.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        like: Film | None,
        rate: Fraction,
        crf: float | str,
        gop: int | None = None,
        deep: bool = False,
        first: int = 0,
    ) -> None:
        self.path, self.size, self.deep, self.first = path, size, deep, first
        self.count = self.written = 0  # frames taken, and frames whose packets are in the file
        self._delay = 0
        film = like if isinstance(like, VideoFile | Excerpt) else None
        self.schedule = Schedule(film, rate)
        self._reformatter = VideoReformatter()
        # A short lookahead bounds the frames in memory; at constant quality it costs a few percent of size.
        options = {"crf": str(_factor(crf)), "preset": "medium", "rc-lookahead": "20"}
        if gop is not None:
            options["g"] = str(gop)
        self._host = av.open(io.BytesIO(), "w", format="mp4")  # gives the encoder's stream; nothing is written to it
        # With its macroblock tree x264 gives other bits from run to run; a job that goes on must end in the same ones.
        options |= {"x265-params": "log-level=error:rc-lookahead=20"} if deep else {"x264-params": "mbtree=0"}
        codec = "libx265" if deep else "libx264"
        stream: Any = self._host.add_stream(codec, rate=film.rate if film else rate, options=options)
        stream.width, stream.height = size[1] + size[1] % 2, size[0] + size[0] % 2
        stream.pix_fmt = "yuv420p10le" if deep else "yuv444p" if crf == _LOSSLESS else "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = self.schedule.base
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        if film and film.pixel_aspect:
            context.sample_aspect_ratio = film.pixel_aspect
        self.stream: av.VideoStream = stream
        self._host.start_encoding()
        self._data = path.open("wb")
        self._rows = rows_of(path).open("wb")
        self._data.write(self.header)

    @property
    def header(self) -> bytes:
        """What a decoder must have before the first packet."""
        return self.stream.codec_context.extradata or b""

    def write(self, rgb: np.ndarray) -> None:
        """Encode a frame, (H, W, 3) RGB, uint8, or uint16 where it is to be deep."""
        height, width = self.size
        kind = np.dtype(np.uint16 if self.deep else np.uint8)
        if rgb.shape != (height, width, 3) or rgb.dtype != kind:
            raise ValueError(f"frame {self.count} is {rgb.shape} {rgb.dtype}, not {(height, width, 3)} {kind}")
        rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb48le" if self.deep else "rgb24"),
            format=self.stream.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=EXACT,
        )
        frame.pts, frame.time_base = self.schedule.time(self.first + self.count), self.schedule.base
        self.count += 1
        self._keep(self.stream.encode(frame))

    def finish(self) -> None:
        """Take what the encoder still holds."""
        self._keep(self.stream.encode(None))
        self._data.flush()
        self._rows.flush()

    def close(self) -> None:
        """Let go of the files, finished or not."""
        for file in (self._data, self._rows):
            with suppress(OSError):  # of a full disk, which was told already
                file.close()

    def release(self) -> None:
        """Free what the encoder itself holds, half a megabyte or more; its stream is of no use then."""
        self._host.close()

    @property
    def part(self) -> Part:
        """What was encoded, after `finish`."""
        return Part(self.path, len(self.header), self.first, self.written, self._delay)

    def picture(self, *parts: Part) -> Picture:
        """A film's picture of parts that were encoded so; of what was encoded here where none is given."""
        return Picture(self.stream, self.size, self.schedule, parts or (self.part,), self.deep)

    def _keep(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            number = self.schedule.index(packet.pts or 0) - self.first
            self._data.write(bytes(packet))
            self._rows.write(ROW.pack(number, bool(packet.is_keyframe), packet.size))
            self._delay = max(self._delay, self.written - number)
            self.written += 1


def _factor(crf: float | str) -> float:
    return 0 if crf == _LOSSLESS else max(_BEST, float(crf))
