"""Clocks that start again within a file, as in recordings that were put together byte by byte."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import av

ANY_START = 0x0200  # AVFMT_TS_DISCONT: the container lets clocks start anywhere, and start again
# As FFmpeg's own command line tool takes them: what jumps less is a lost packet or an uneven clock.
_BACK = 100_000  # microseconds
_AHEAD = 10_000_000
_OVERLAP = 250_000  # of sound over the joint, at most


@dataclass(frozen=True)
class Part:
    """A stretch of a file with a clock of its own."""

    start: int  # byte of the file
    shift: Fraction  # seconds to add to its times, so that they go on from the part before


class Clock:
    """Makes the times of packets go on over every joint.

    Args:
        parts: In the order of the file; none where the clock never starts again.
    """

    def __init__(self, parts: tuple[Part, ...] = ()) -> None:
        self._parts = parts
        self._starts = [part.start for part in parts]
        self._at: dict[int, int] = {}

    def correct(self, packet: av.Packet) -> None:
        """Change a packet's times to those of the whole film."""
        if not self._parts:
            return
        # One that shares a header with the packet before it has no position of its own.
        at = self._at[packet.stream_index] = self._at.get(packet.stream_index, 0) if packet.pos is None else packet.pos
        ticks = round(self._parts[max(0, bisect_right(self._starts, at) - 1)].shift / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks


@dataclass
class _Span:
    """First and last time of a part's streams, in microseconds."""

    start: int  # byte
    first: dict[int, int] = field(default_factory=dict)
    end: dict[int, int] = field(default_factory=dict)


def find_parts(packets: Iterable[av.Packet], video: int) -> tuple[Part, ...]:
    """Where a file's clock starts again.

    A stream whose time falls by more than 0.1 s, or jumps ahead by more than 10 s, begins a new part of the file at
    that byte, for all streams. Its picture follows on that of the part before, or later where sound would overlap.

    Args:
        packets: All of the file's picture and sound.
        video: Index of the picture's stream.

    Returns:
        The parts; none where there is but one.
    """
    rows = tuple(array("q") for _ in range(5))  # position, stream, decoding time, time, end
    at: dict[int, int] = {}
    for packet in packets:
        time = packet.pts if packet.dts is None else packet.dts
        if not packet.size or time is None:
            continue
        at[packet.stream_index] = at.get(packet.stream_index, 0) if packet.pos is None else packet.pos
        shown = time if packet.pts is None else packet.pts
        ticks = (time, shown, shown + (packet.duration or 0))
        for row, value in zip(
            rows, (at[packet.stream_index], packet.stream_index, *(_micro(t, packet) for t in ticks)), strict=True
        ):
            row.append(value)
    spans = _spans(rows)
    return _shifted(spans, video) if len(spans) > 1 else ()


def _spans(rows: tuple[array, ...]) -> list[_Span]:
    spans = [_Span(0)]
    last: dict[int, int] = {}
    # A demuxer may hand out the end of one stream only after the next part of another has begun.
    for n in sorted(range(len(rows[0])), key=rows[0].__getitem__):
        position, stream, time, shown, end = (row[n] for row in rows)
        before = last.get(stream)
        if before is not None and not before - _BACK <= time <= before + _AHEAD:
            spans.append(_Span(position))
            last.clear()
        last[stream] = time
        span = spans[-1]
        span.first[stream] = min(shown, span.first.get(stream, shown))
        span.end[stream] = max(end, span.end.get(stream, end))
    return spans


def _shifted(spans: list[_Span], video: int) -> tuple[Part, ...]:
    parts, shift = [Part(0, Fraction(0))], 0
    for before, span in pairwise(spans):
        end = before.end.get(video, max(before.end.values())) + shift
        shift_then, shift = shift, end - span.first.get(video, min(span.first.values()))
        sound = [
            before.end[stream] + shift_then - (span.first[stream] + shift)
            for stream in before.end.keys() & span.first.keys()
        ]
        shift += max(sound) if max(sound, default=0) > _OVERLAP else 0
        parts.append(Part(span.start, Fraction(shift, 1_000_000)))
    return tuple(parts)


def _micro(ticks: int, packet: av.Packet) -> int:
    return round(ticks * packet.time_base * 1_000_000)
