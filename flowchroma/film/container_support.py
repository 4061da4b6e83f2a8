"""What a container takes, tried on one in memory: no table says it for sure."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np
from av.error import FFmpegError

from flowchroma.film.frame_times import whole_packets
from flowchroma.film.tracks import Choice, layouts_of, settle_layout

_TRIED = 3  # packets of a stream
_LOOKED_AT = 2000  # packets of a file, to find those
ERRORS = (FFmpegError, ValueError, OSError, NotImplementedError, TypeError)  # of PyAV, where a stream does not fit
# By stream: content, time, decoding time, duration, time base, whether a key.
Packets = dict[int, list[tuple[bytes, int | None, int | None, int, Fraction, bool]]]


def can_hold(container: str, stream: Any, packets: Packets) -> bool:
    """Whether a container takes a stream as it is, its end included."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            if stream.type == "audio":
                settle_layout(stream)
            copy = trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
            for row in packets.get(stream.index, []):
                packet = remade(row)
                packet.stream = copy
                trial.mux(packet)
    except ERRORS:
        return False
    return True


def as_aac(stream: Any, container: str) -> Choice | None:
    """The most channels of a stream's sound that AAC takes."""
    for layout in layouts_of(stream):
        try:
            with av.open(io.BytesIO(), "w", format=container) as trial:
                made = trial.add_stream("aac", rate=48000, layout=layout)
                silence = np.zeros((1, 1024 * len(made.layout.channels)), np.float32)
                frame = av.AudioFrame.from_ndarray(silence, format="flt", layout=layout)
                frame.rate, frame.pts = 48000, 0
                for piece in av.AudioResampler("fltp", layout, 48000).resample(frame):
                    trial.mux(made.encode(piece))
                trial.mux(made.encode(None))
        except ERRORS:
            continue
        return Choice(stream.index, "aac", layout)
    return None


def first_packets(source: av.container.InputContainer, path: Path) -> Packets:
    """Some packets of each stream, to try containers with."""
    streams = [stream for stream in source.streams if stream.type in ("audio", "subtitle", "video")]
    found: Packets = {stream.index: [] for stream in streams}
    for number, packet in enumerate(whole_packets(source, streams, path)):
        rows = found.setdefault(packet.stream_index, [])  # damage can make up streams
        if packet.size and len(rows) < _TRIED:
            time = packet.pts if packet.dts is None else packet.dts
            rows.append(
                (bytes(packet), packet.pts, time, packet.duration or 0, packet.time_base, bool(packet.is_keyframe))
            )
        if number > _LOOKED_AT or all(len(rows) == _TRIED for rows in found.values()):
            break
    return found


def remade(row: tuple[bytes, int | None, int | None, int, Fraction, bool]) -> av.Packet:
    """A packet that was kept."""
    packet = av.Packet(row[0])
    packet.pts, packet.dts, packet.duration, packet.time_base, packet.is_keyframe = row[1:]
    return packet
