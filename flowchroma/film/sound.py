"""Sound carried from one film to another."""

import io
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.container
from av.error import FFmpegError, InvalidDataError

from flowchroma.film.frame_times import open_container, whole_packets

_AAC_RATES = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
_KEPT_METADATA = ("language", "title", "handler_name")


class Sound:
    """Every audio track of a film, copied packet by packet into a container being written.

    A track in a codec that the container cannot hold is encoded to AAC instead, with a warning that says so.
    """

    def __init__(self, source: Path, output: av.container.OutputContainer, shift: Fraction) -> None:
        self._source = open_container(source)
        self._output = output
        self._shift = shift
        self._tracks = [
            _track(stream, output, source) for stream in self._source.streams.audio if stream.codec_context is not None
        ]
        self._packets: Iterator[av.Packet] = iter(())
        if self._tracks:
            self._packets = whole_packets(self._source, self._source.streams.audio, source)

    def feed(self, until: float) -> None:
        """Write the packets up to a time of the output in seconds, and one beyond it."""
        by_stream = {track.stream.index: track for track in self._tracks}
        for packet in self._packets:
            track = by_stream.get(packet.stream_index)
            if not packet.size or track is None:
                continue
            time = packet.pts if packet.dts is None else packet.dts
            if time is None:
                continue
            self._move(packet)
            self._output.mux(track.take(packet))
            if float(time * packet.time_base - self._shift) > until:
                return

    def finish(self) -> None:
        """Write all that is left."""
        self.feed(float("inf"))
        for track in self._tracks:
            self._output.mux(track.flush())

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _move(self, packet: av.Packet) -> None:
        shift = round(self._shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift


class _Copied:
    def __init__(self, stream: av.AudioStream, output: av.AudioStream) -> None:
        self.stream = stream
        self._output = output

    def take(self, packet: av.Packet) -> list[av.Packet]:
        packet.stream = self._output
        return [packet]

    def flush(self) -> list[av.Packet]:
        return []


class _Encoded:
    def __init__(self, stream: av.AudioStream, output: av.AudioStream) -> None:
        self.stream = stream
        self._output = output
        self._resampler = av.AudioResampler("fltp", output.layout, output.rate, frame_size=1024)

    def take(self, packet: av.Packet) -> list[av.Packet]:
        try:
            frames = self.stream.decode(packet)
        except InvalidDataError:
            warnings.warn(
                f"sound at {float((packet.dts or 0) * packet.time_base):.1f} s is damaged: left out", stacklevel=1
            )
            frames = []
        return [done for frame in frames for done in self._encode(frame)]

    def flush(self) -> list[av.Packet]:
        rest = [done for frame in self.stream.decode(None) for done in self._encode(frame)]
        return [*rest, *self._encode(None), *self._output.encode(None)]

    def _encode(self, frame: av.AudioFrame | None) -> list[av.Packet]:
        return [done for piece in self._resampler.resample(frame) for done in self._output.encode(piece)]


def _track(stream: av.AudioStream, output: av.container.OutputContainer, source: Path) -> _Copied | _Encoded:
    track: _Copied | _Encoded
    if _can_hold(output.format.name, stream):
        copy = output.add_stream_from_template(stream)
        track = _Copied(stream, copy)
    else:
        codec = stream.codec_context.name
        message = f"the {codec} sound of {source} does not fit into {output.format.name}: encoding it to AAC"
        warnings.warn(message, stacklevel=2)
        rate = stream.rate if stream.rate in _AAC_RATES else 48000
        layout = {1: "mono", 6: "5.1"}.get(len(stream.layout.channels) or stream.channels, "stereo")
        copy = output.add_stream("aac", rate=rate, layout=layout)
        track = _Encoded(stream, copy)
    copy.metadata.update({key: value for key, value in stream.metadata.items() if key in _KEPT_METADATA})
    return track


def _can_hold(container_format: str, stream: av.AudioStream) -> bool:
    """Whether a container takes a track as it is: tried on one in memory, as no table says it for sure."""
    try:
        with av.open(io.BytesIO(), "w", format=container_format) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True
