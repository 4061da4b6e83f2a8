"""Where each frame of a video file lies in time."""

import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
from av.error import FFmpegError
from av.stream import Disposition

from flowchroma.errors import UserError

# Containers that say the presentation time of every frame without decoding one. VP8 hides frames among them.
_TRUSTED_FORMATS = {"mov", "matroska"}
_HIDING_CODECS = {"vp8"}
_STILL_FORMATS = ("tty", "image2", "_pipe")


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video file in display order."""

    count: int
    pts: tuple[int, ...]  # in units of the stream's time base, strictly rising; empty where the file carries no times
    keys: tuple[int, ...]  # frame numbers at which decoding can start; the first is 0
    last_duration: int  # of the last frame, in units of the time base; 0 where unknown
    from_packets: bool  # the container gives every time; others may guess one wrong after a seek

    def key_before(self, index: int) -> int:
        """Position in `keys` of the last key at or before a frame."""
        return bisect_right(self.keys, index) - 1


def open_container(path: Path) -> av.container.InputContainer:
    """Open a video file for reading.

    Raises:
        UserError: The file is no film.
    """
    try:
        container = av.open(str(path.absolute()), metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise UserError(
            f"cannot read {path} as a film ({_reason(error)}): it is damaged, incomplete, or no video"
        ) from error
    if any(still in container.format.name for still in _STILL_FORMATS):
        container.close()
        raise UserError(f"{path} is no film: give a video file or a folder of frames")
    return container


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The stream that players show, threads off.

    Raises:
        UserError: There is none.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, av.VideoStream) or stream.disposition & Disposition.attached_pic:
        raise UserError(f"{path} has no video stream: is it a sound file?")
    stream.thread_count = 1
    return stream


def whole_packets(
    container: av.container.InputContainer, streams: Sequence[av.VideoStream | av.AudioStream], path: Path
) -> Iterator[av.Packet]:
    """The packets that arrived whole: a file cut off in the middle is read as far as it goes, with a warning."""
    message = f"{path} is damaged or cut off: reading what is there"
    try:
        for packet in container.demux(*streams):
            if packet.is_corrupt:
                warnings.warn(message, stacklevel=1)
            else:
                yield packet
    except FFmpegError:
        warnings.warn(message, stacklevel=1)


def decode(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> Iterator[av.VideoFrame]:
    """Decode frames in display order from where the container stands.

    Raises:
        FFmpegError: A packet is damaged beyond decoding.
    """
    for packet in whole_packets(container, [stream], path):
        yield from stream.decode(packet if packet.size else None)


def build_index(path: Path, first_pts: int | None) -> FrameIndex:
    """Find the time of every frame: from packets alone where the container can be trusted, by decoding otherwise.

    Args:
        path: The video file.
        first_pts: Time of the first frame that decodes; packets before it show nothing.

    Raises:
        UserError: The file holds no frame.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        trusted = container.format.name.split(",")[0] in _TRUSTED_FORMATS
        if first_pts is not None and trusted and stream.codec_context.name not in _HIDING_CODECS:
            index = _from_packets(container, stream, path, first_pts)
            if index is not None:
                return index
    return _from_frames(path)


def times(index: FrameIndex, time_base: Fraction, rate: Fraction) -> tuple[Fraction, list[int], int]:
    """A time base, when each frame is shown in it, and how long the last one stays."""
    if not index.pts:
        return 1 / rate, list(range(index.count)), 1
    gap = index.pts[-1] - index.pts[-2] if index.count > 1 else round(1 / (rate * time_base))
    return time_base, list(index.pts), index.last_duration or gap


def _from_packets(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, first_pts: int
) -> FrameIndex | None:
    shown: list[tuple[int, bool, int]] = []
    for packet in whole_packets(container, [stream], path):
        if not packet.size or packet.is_discard:  # the end, or a frame that an edit list hides
            continue
        if packet.pts is None:
            return None
        if packet.pts >= first_pts:
            shown.append((packet.pts, packet.is_keyframe, packet.duration or 0))
    return _ordered(shown, from_packets=True)


def _from_frames(path: Path) -> FrameIndex:
    shown: list[tuple[int | None, bool, int]] = []
    with open_container(path) as container:
        try:
            for frame in decode(container, video_stream(container, path), path):
                shown.append((frame.pts, bool(frame.key_frame), frame.duration or 0))
        except FFmpegError as error:
            raise UserError(f"frame {len(shown)} of {path} cannot be decoded ({_reason(error)})") from error
    if not shown:
        raise UserError(f"{path} holds no frame that can be decoded")
    timed = [(pts, key, duration) for pts, key, duration in shown if pts is not None]
    index = _ordered(timed, from_packets=False) if len(timed) == len(shown) else None
    return index or FrameIndex(len(shown), (), (0,), 0, from_packets=False)


def _ordered(shown: list[tuple[int, bool, int]], from_packets: bool) -> FrameIndex | None:
    shown = sorted(shown)
    pts = tuple(time for time, _, _ in shown)
    if not pts or len(set(pts)) < len(pts):
        return None
    keys = {0} | {at for at, (_, is_key, _) in enumerate(shown) if is_key}
    return FrameIndex(len(pts), pts, tuple(sorted(keys)), shown[-1][2], from_packets)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
