"""From what a decoder gives to what a screen shows."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from flowchroma.film import hdr
from flowchroma.film.crop import NONE, Crop, crop_of

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 720  # from here on, players take untagged film to be BT.709; below it, BT.601
# Without these, luminance of 8 bits comes out half a step too dark, and that of 10 by 1.7 of 255. 30 ms at 1080p.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
_FIELDS = (2, 3, 4, 5)  # of AVFieldOrder: those that are interlaced


@dataclass(frozen=True)
class Look:
    """How a film's frames are shown, as its first says."""

    size: tuple[int, int]  # (H, W), cropped and upright
    pixel_aspect: Fraction  # width by height of a pixel, upright
    crop: Crop  # before turning
    turns: int  # quarter turns counterclockwise that set a frame upright
    bits: int  # of a sample
    interlaced: bool
    captions: bool  # within the picture's data
    transfer: int  # AVCOL_TRC
    primaries: int  # AVCOL_PRI

    def notes(self, name: object) -> list[str]:
        """A line for each thing that is changed on the way to an ordinary screen."""
        lines = []
        if self.interlaced:
            lines.append(f"{name} is interlaced: each frame is deinterlaced")
        if self.transfer in (hdr.PQ, hdr.HLG):
            kind = "PQ" if self.transfer == hdr.PQ else "HLG"
            lines.append(f"{name} is HDR ({kind}): tone-mapped to BT.709")
        elif hdr.is_mapped(self.transfer, self.primaries):
            lines.append(f"{name} has wide colour primaries: converted to BT.709")
        if self.captions:
            lines.append(f"the closed captions within the picture of {name} are left out")
        return lines


def look_of(stream: av.VideoStream, first: av.VideoFrame) -> Look:
    """How the frames of a stream are shown."""
    crop = crop_of(stream)
    top, bottom, left, right = crop
    height, width = first.height - top - bottom, first.width - left - right
    if height < 1 or width < 1:
        crop, height, width = NONE, first.height, first.width
    turns = round(first.rotation / 90) % 4
    pixel = stream.sample_aspect_ratio or Fraction(1)
    return Look(
        size=(width, height) if turns % 2 else (height, width),
        pixel_aspect=1 / pixel if turns % 2 and pixel else pixel,
        crop=crop,
        turns=turns,
        bits=max((component.bits for component in first.format.components), default=8),
        interlaced=first.interlaced_frame or stream.codec_context.field_order in _FIELDS,
        captions=any("A53" in str(getattr(data, "type", "")) for data in first.side_data),
        transfer=int(first.color_trc),
        primaries=int(first.color_primaries),
    )


class Pixels:
    """Turns frames of a film into RGB as displayed."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._reformatter = VideoReformatter()

    def rgb(self, frame: av.VideoFrame, deep: bool = False, exact: bool = False) -> np.ndarray:
        """A frame by its own matrix and range, cropped, upright.

        Args:
            frame: As decoded.
            deep: Give 16 bits a sample.
            exact: Round to nearest, which takes longer.

        Returns:
            (H, W, 3) RGB, uint8 or uint16.
        """
        guess = None
        if frame.colorspace == _UNTAGGED and not frame.format.is_rgb:
            guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
        mapped = hdr.is_mapped(self._look.transfer, self._look.primaries)
        kind = "rgb48le" if deep or mapped else "rgb24"
        how = EXACT if exact or deep else None
        # Threads would multiply with those of data workers; one converts 1080p in 5 ms.
        made = self._reformatter.reformat(frame, format=kind, src_colorspace=guess, interpolation=how, threads=1)
        rgb = made.to_ndarray()
        if mapped:
            rgb = hdr.to_screen(rgb, self._look.transfer, self._look.primaries)
            rgb = rgb if deep else ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
        top, bottom, left, right = self._look.crop
        rgb = rgb[top : rgb.shape[0] - bottom, left : rgb.shape[1] - right]
        return np.ascontiguousarray(np.rot90(rgb, self._look.turns))


def deinterlaced(frames: Iterable[av.VideoFrame | None]) -> Iterator[av.VideoFrame | None]:
    """Make whole frames of those that hold two fields; None stays in its place."""
    waiting: deque[bool] = deque()
    graph: _Bwdif | None = None
    for frame in frames:
        if frame is not None and (graph is None or not graph.takes(frame)):
            yield from _placed(graph.rest() if graph else [], waiting)
            graph = _Bwdif(frame)
        waiting.append(frame is not None)
        yield from _placed(graph.put(frame) if graph and frame is not None else [], waiting)
    yield from _placed(graph.rest() if graph else [], waiting)
    yield from (None for _ in waiting)


def _placed(done: list[av.VideoFrame], waiting: deque[bool]) -> Iterator[av.VideoFrame | None]:
    for frame in done:
        while waiting and not waiting.popleft():
            yield None
        yield frame
    while waiting and not waiting[0]:
        waiting.popleft()
        yield None


class _Bwdif:
    """FFmpeg's filter of that name: a frame out for a frame in, those that are not interlaced as they are."""

    def __init__(self, like: av.VideoFrame) -> None:
        self._kind = (like.width, like.height, like.format.name)
        self._graph = Graph()
        source = self._graph.add_buffer(None, like.width, like.height, like.format, None, Fraction(1, 1000))
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        source.link_to(bwdif)
        bwdif.link_to(self._graph.add("buffersink"))
        self._graph.configure()
        self._count = 0

    def takes(self, frame: av.VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == self._kind

    def put(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        frame.pts, frame.time_base = self._count, Fraction(1, 1000)
        self._count += 1
        self._graph.push(frame)
        return self._pulled()

    def rest(self) -> list[av.VideoFrame]:
        self._graph.push(None)
        return self._pulled()

    def _pulled(self) -> list[av.VideoFrame]:
        done: list[av.VideoFrame] = []
        while True:
            try:
                frame = self._graph.pull()
            except (FFmpegError, EOFError, BlockingIOError):
                return done
            assert isinstance(frame, av.VideoFrame)
            done.append(frame)
