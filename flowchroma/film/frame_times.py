"""Where each frame of a video file lies in time."""

import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import av.container
from av.error import FFmpegError
from av.stream import Disposition, Stream

from flowchroma.errors import UserError
from flowchroma.film.clocks import ANY_START, Clock, Part, find_parts

# Containers that say the presentation time of every frame without decoding one. VP8 hides frames among them.
_TRUSTED_FORMATS = {"mov", "matroska"}
_HIDING_CODECS = {"vp8"}
_STILL_FORMATS = ("tty", "image2", "_pipe")
_TRIED = 48  # frames
_FEW = 0.1  # of a film's frames


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video file in display order."""

    count: int
    pts: tuple[int, ...]  # by which frames are found, in units of the stream's time base, rising; else they are counted
    keys: tuple[int, ...]  # frame numbers at which decoding can start; the first is 0
    last_duration: int  # of the last frame, in units of the time base; 0 where unknown
    from_packets: bool  # the container gives every time; others may guess one wrong after a seek
    counted: tuple[int, ...] = ()  # when each frame is shown, where `pts` is empty; empty where only the rate is known
    rate: Fraction | None = None  # frames per second, where they are counted
    parts: tuple[Part, ...] = ()  # of a file whose clock starts again: it is read from its beginning
    resized: int = 0  # frames of another size than the first

    def key_before(self, index: int) -> int:
        """Position in `keys` of the last key at or before a frame."""
        return bisect_right(self.keys, index) - 1


@dataclass(frozen=True)
class Undecodable:
    """What stands in the place of a frame that does not decode."""

    pts: int | None
    is_key: bool


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
    container: av.container.InputContainer,
    streams: Sequence[Stream],
    path: Path,
    clock: Clock | None = None,
) -> Iterator[av.Packet]:
    """The packets that arrived whole: a file cut off in the middle is read as far as it goes, with a warning."""
    message = f"{path} is damaged or cut off: reading what is there"
    broadcast = bool(container.format.flags & ANY_START)  # marks every packet after a lost one, and at every joint
    try:
        for packet in container.demux(*streams):
            if packet.is_corrupt and not broadcast:
                warnings.warn(message, stacklevel=1)
            else:
                if clock and packet.size:
                    clock.correct(packet)
                yield packet
    except FFmpegError:
        warnings.warn(message, stacklevel=1)


def decode(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, clock: Clock | None = None
) -> Iterator[av.VideoFrame | Undecodable]:
    """Decode frames in display order from where the container stands.

    What comes before the first frame and refers to one that is not there is left out, as players do.
    """
    begun = False
    for packet in whole_packets(container, [stream], path, clock):
        try:
            frames = stream.decode(packet if packet.size else None)
        except FFmpegError:
            if packet.size and (begun or packet.is_keyframe):
                begun = True
                yield Undecodable(packet.pts, bool(packet.is_keyframe))
            continue
        begun = begun or bool(frames)
        yield from frames


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
            if index is not None and (stream.codec_context.has_b_frames == 0 or _starts_in_order(path)):
                return index
    return _from_frames(path)


def times(index: FrameIndex, time_base: Fraction, rate: Fraction) -> tuple[Fraction, list[int], int]:
    """A time base, when each frame is shown in it, and how long the last one stays."""
    shown = index.pts or index.counted
    if not shown:
        return 1 / (index.rate or rate), list(range(index.count)), 1
    gap = shown[-1] - shown[-2] if index.count > 1 else round(1 / (rate * time_base))
    return time_base, list(shown), index.last_duration or gap


def _from_packets(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path, first_pts: int
) -> FrameIndex | None:
    shown: list[tuple[int, bool, int]] = []
    for packet in whole_packets(container, [stream], path):
        if not packet.size or packet.is_discard:  # the end, or a frame that an edit list hides
            continue
        if packet.pts is None:
            return None
        shown.append((packet.pts, bool(packet.is_keyframe), packet.duration or 0))
    # A key frame before the first frame that decodes is damaged; others there refer to what is not in the file.
    start = min([first_pts, *(pts for pts, is_key, _ in shown if is_key)])
    shown = sorted(frame for frame in shown if frame[0] >= start)
    pts = tuple(time for time, _, _ in shown)
    if not pts or len(set(pts)) < len(pts):
        return None
    return FrameIndex(len(pts), pts, _keys([is_key for _, is_key, _ in shown]), shown[-1][2], from_packets=True)


def _starts_in_order(path: Path) -> bool:
    """Whether the first frames come out of the decoder with rising times: some give times in the order of decoding."""
    with open_container(path) as container:
        frames = decode(container, video_stream(container, path), path)
        first = [frame.pts for frame in islice(frames, _TRIED) if isinstance(frame, av.VideoFrame)]
    return None not in first and all(one < other for one, other in pairwise(first))  # type: ignore[operator]


@dataclass(frozen=True)
class _Shown:
    """What decoding gave in a frame's place."""

    pts: int | None
    is_key: bool
    duration: int = 0
    damaged: bool = False


def _from_frames(path: Path) -> FrameIndex:
    parts = _parts(path)
    shown: list[_Shown] = []
    sizes: list[tuple[int, int]] = []
    with open_container(path) as container:
        stream = video_stream(container, path)
        for frame in decode(container, stream, path, Clock(parts)):
            if isinstance(frame, Undecodable):
                shown.append(_Shown(frame.pts, frame.is_key, damaged=True))
            else:
                sizes.append((frame.width, frame.height))
                shown.append(_Shown(frame.pts, bool(frame.key_frame), frame.duration or 0))
        period = 1 / (Fraction(stream.guessed_rate or stream.average_rate or 25) * (stream.time_base or 1))
    if not sizes:
        raise UserError(f"{path} holds no frame that can be decoded")
    index = _by_time(shown) or _pushed(shown, period) or _counted(shown, path)
    return replace(index, parts=parts, resized=sum(size != sizes[0] for size in sizes))


def _parts(path: Path) -> tuple[Part, ...]:
    with open_container(path) as container:
        if not container.format.flags & ANY_START:
            return ()
        video = video_stream(container, path)
        return find_parts(whole_packets(container, [video, *container.streams.audio], path), video.index)


def _by_time(shown: Sequence[_Shown]) -> FrameIndex | None:
    """The frames by their times, those between that are damaged included; None where times do not rise."""
    whole = [(frame.pts, frame.is_key) for frame in shown if not frame.damaged]
    times = [pts for pts, _ in whole if pts is not None]
    if len(times) < len(whole) or any(one >= other for one, other in pairwise(times)):
        return None
    known = dict(zip(times, (is_key for _, is_key in whole), strict=True))
    damaged = {frame.pts: frame.is_key for frame in shown if frame.damaged and frame.pts is not None}
    found = sorted({**damaged, **known}.items())
    duration = next(frame.duration for frame in reversed(shown) if not frame.damaged)
    pts = tuple(time for time, _ in found)
    return FrameIndex(len(pts), pts, _keys([is_key for _, is_key in found]), duration, from_packets=False)


def _pushed(shown: Sequence[_Shown], period: Fraction) -> FrameIndex | None:
    """A few frames without a time that rises follow a period after the one before; None where they are many."""
    times: list[int] = []
    moved = 0
    for frame in shown:
        good = frame.pts is not None and (not times or frame.pts > times[-1])
        moved += not good
        times.append(frame.pts if good and frame.pts is not None else times[-1] + max(1, round(period)) if times else 0)
    if moved > len(shown) * _FEW:
        return None
    return FrameIndex(len(times), (), (0,), shown[-1].duration, from_packets=False, counted=tuple(times))


def _counted(shown: Sequence[_Shown], path: Path) -> FrameIndex:
    """One frame a decoding time, where packets have those; else the rate alone is known."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        packets = [packet for packet in whole_packets(container, [stream], path) if packet.size]
        times = [packet.dts for packet in packets if packet.dts is not None]
        rate = Fraction(stream.guessed_rate or stream.average_rate or 25)
        gaps = sorted(other - one for one, other in pairwise(times))
        if len(gaps) and gaps[0] > 0 and stream.time_base:
            rate = 1 / (gaps[len(gaps) // 2] * stream.time_base)
    usable = len(times) == len(shown) and (not gaps or gaps[0] > 0)
    before = min(times[0], 0) if times else 0  # some containers begin decoding before time 0
    counted = tuple(time - before for time in times) if usable else ()
    return FrameIndex(len(shown), (), (0,), 0, from_packets=False, counted=counted, rate=rate)


def _keys(is_key: Sequence[bool]) -> tuple[int, ...]:
    return tuple(sorted({0} | {at for at, key in enumerate(is_key) if key}))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
