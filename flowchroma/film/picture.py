"""The encoded picture of a film, in parts on disk, as the packets of one film."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from flowchroma.film.schedule import Schedule

ROW = struct.Struct("<I?I")  # of a packet: number of its frame in its part, whether a key, bytes


@dataclass(frozen=True)
class Part:
    """Frames that were encoded together, and refer to no others: an elementary stream, and a row for each packet."""

    path: Path
    header: int  # bytes before the first packet
    first: int  # number of its first frame in the film
    count: int  # frames
    delay: int  # packets that come at most before the one of a frame shown earlier


class Picture:
    """A film's picture, encoded.

    Args:
        stream: Gives its codec, shape and tags.
        size: (H, W) of what is shown.
        schedule: When each frame is shown.
        parts: In order, each going on where the one before ends.
        deep: Whether it has 10 bits.
    """

    def __init__(
        self, stream: av.VideoStream, size: tuple[int, int], schedule: Schedule, parts: Sequence[Part], deep: bool
    ) -> None:
        self.stream, self.size, self.schedule, self.deep = stream, size, schedule, deep
        self._parts = parts
        self.first = parts[0].first
        self.count = sum(part.count for part in parts)

    @property
    def is_padded(self) -> bool:
        """Whether the canvas is larger than the frames."""
        return (self.stream.height, self.stream.width) != self.size

    @property
    def start(self) -> Fraction:
        """When the first frame is shown, in seconds."""
        return self.schedule.seconds(self.first)

    @property
    def times(self) -> list[int]:
        """When each frame is shown, in units of the schedule's base."""
        return [self.schedule.time(self.first + n) for n in range(self.count)]

    def packets(self) -> Iterator[av.Packet]:
        """All in the order of decoding.

        Encoders give decoding times of their own, which overlap where parts meet, and which x265 leaves out of short
        ones: a frame is decoded when the one shown `delay` frames earlier is.
        """
        time = self.schedule.time
        delay = max(part.delay for part in self._parts)
        start = time(self.first)
        before = [start - time(self.first + delay) + time(self.first + n) for n in range(delay)]
        number = 0
        for part in self._parts:
            for frame, is_key, data in _read(part):
                packet = av.Packet(data)
                shown = part.first + frame
                packet.pts, packet.time_base = time(shown), self.schedule.base
                packet.dts = before[number] if number < delay else time(self.first + number - delay)
                packet.duration = time(shown + 1) - packet.pts
                if number == self.count - 1:  # the mov family adds up gaps of decoding times and this one
                    begun = before[0] if delay else start
                    packet.duration = max(packet.duration, time(self.first + self.count) - start - packet.dts + begun)
                packet.is_keyframe = is_key
                number += 1
                yield packet


def rows_of(path: Path) -> Path:
    """Where the rows of an elementary stream's packets lie."""
    return path.with_suffix(".rows")


def _read(part: Part) -> Iterator[tuple[int, bool, bytes]]:
    with part.path.open("rb") as data, rows_of(part.path).open("rb") as rows:
        data.seek(part.header)
        while row := rows.read(ROW.size):
            frame, is_key, size = ROW.unpack(row)
            yield frame, is_key, data.read(size)
