"""From what a decoder gives to what a screen shows."""

import io
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Colorspace, VideoReformatter

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 720  # from here on, players take untagged film to be BT.709; below it, BT.601


@dataclass(frozen=True)
class Look:
    """How a film's frames are shown, as its first says."""

    size: tuple[int, int]  # (H, W), cropped and upright
    pixel_aspect: Fraction  # width by height of a pixel, upright
    crop: tuple[int, int, int, int]  # pixels off the top, bottom, left and right, before turning


def look_of(stream: av.VideoStream, first: av.VideoFrame) -> Look:
    """How the frames of a stream are shown."""
    crop = _crop_of(stream)
    top, bottom, left, right = crop
    height, width = first.height - top - bottom, first.width - left - right
    if height < 1 or width < 1:
        crop, height, width = (0, 0, 0, 0), first.height, first.width
    turned = _quarter_turns(first) % 2 == 1
    pixel = stream.sample_aspect_ratio or Fraction(1)
    return Look(
        (width, height) if turned else (height, width), 1 / pixel if turned and pixel else pixel, crop
    )  # fmt: skip


class Pixels:
    """Turns frames of a film into RGB as displayed."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._reformatter = VideoReformatter()

    def rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 RGB: by the frame's own matrix and range, cropped, upright."""
        guess = None
        if frame.colorspace == _UNTAGGED and not frame.format.is_rgb:
            guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
        # Threads would multiply with those of data workers; one converts 1080p in 5 ms.
        rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=guess, threads=1).to_ndarray()
        top, bottom, left, right = self._look.crop
        rgb = rgb[top : rgb.shape[0] - bottom, left : rgb.shape[1] - right]
        return np.ascontiguousarray(np.rot90(rgb, _quarter_turns(frame)))


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns counterclockwise that set a frame upright."""
    return round(frame.rotation / 90) % 4


def _crop_of(stream: av.VideoStream) -> tuple[int, int, int, int]:
    """Pixels that the container, not the codec, says are not shown: top, bottom, left, right.

    PyAV does not tell; a header written from the stream says it in a box of its own (ISO/IEC 14496-12, 12.1.4).
    """
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="mov", options={"movflags": "empty_moov+frag_keyframe"}) as output:
            output.add_stream_from_template(stream, opaque=True)
            output.start_encoding()
    except (FFmpegError, ValueError):
        return 0, 0, 0, 0
    box = header.getvalue()
    at = box.find(b"\0\0\0\x28clap")
    if at < 0 or not stream.width or not stream.height:
        return 0, 0, 0, 0
    numbers = struct.unpack(">8i", box[at + 8 : at + 40])
    width, height, x, y = (Fraction(numbers[n], numbers[n + 1] or 1) for n in (0, 2, 4, 6))
    left, top = (stream.width - width) / 2 + x, (stream.height - height) / 2 + y
    sides = (top, stream.height - height - top, left, stream.width - width - left)
    return tuple(max(0, round(side)) for side in sides)  # type: ignore[return-value]
