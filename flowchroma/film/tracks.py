"""Sound and subtitles carried from one film to another, packet by packet."""

import re
import struct
import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
import av.container
from av.error import FFmpegError

_AAC_RATES = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}
_AAC_BITS = 96_000  # a second and channel
_KEPT_METADATA = ("language", "title", "handler_name", "timecode")
_ASS_HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
# FFmpeg's own choice where a file does not say which speakers its channels are for.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}

# ISO 639 has two codes for some languages, of which QuickTime knows one.
_QUICKTIME = {"deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi", "fre": "fra"}


@dataclass(frozen=True)
class Choice:
    """How a stream is carried."""

    index: int  # of the stream in the source
    how: str  # "copy"; "aac"; "mov_text" or "subrip"
    layout: str = ""  # of AAC


class Track(Protocol):
    """A stream on its way from one container to another."""

    output: Any

    def take(self, packet: av.Packet) -> list[av.Packet]:
        """What is written for a packet of the source."""

    def flush(self) -> list[av.Packet]:
        """What is still to be written at the end."""


def open_track(choice: Choice, stream: Any, output: av.container.OutputContainer) -> Track:
    """Add a stream of the source to the output."""
    if choice.how == "copy":
        copy = output.add_stream_from_template(stream, opaque=True)
        track: Track = _Copied(copy)
    elif choice.how == "aac":
        rate = stream.rate if stream.rate in _AAC_RATES else 48000
        copy = output.add_stream("aac", rate=rate, layout=choice.layout)
        copy.bit_rate = _AAC_BITS * len(copy.layout.channels)
        track = _Encoded(stream, copy)
    else:
        copy: Any = output.add_stream(choice.how)  # type: ignore[no-redef]
        copy.codec_context.subtitle_header = _ASS_HEADER
        copy.time_base = Fraction(1, 1000)
        track = _Rewritten(stream, copy, choice.how)
    copy.metadata.update({key: value for key, value in stream.metadata.items() if key in _KEPT_METADATA})
    if output.format.name != "matroska" and "title" in stream.metadata:
        copy.metadata["handler_name"] = stream.metadata["title"]  # which is where its players look for one
    if output.format.name == "mov" and (language := stream.metadata.get("language")):
        copy.metadata["language"] = _QUICKTIME.get(language, language)
    copy.disposition = stream.disposition
    return track


def layouts_of(stream: av.AudioStream) -> list[str]:
    """Speaker layouts to encode a stream's sound in, the best first: all its channels, else fewer."""
    count = stream.channels
    names = (stream.layout.name, _LAYOUTS.get(count), "7.1", "5.1", "stereo")
    fitting = [name for name in names if name and 0 < _channels(name) <= count]
    return [*dict.fromkeys(fitting), "mono"]


def settle_layout(stream: av.AudioStream) -> None:
    """Name the speakers of a stream that gives only the number of its channels."""
    if re.fullmatch(r"[0-9]+ channels", stream.layout.name) and stream.channels in _LAYOUTS:
        stream.codec_context.layout = _LAYOUTS[stream.channels]


def plain_text(stream: Any, packet: av.Packet) -> str:
    """What a subtitle says, without its styles."""
    found = stream.codec_context.decode2(packet)
    lines = [rect.dialogue.decode("utf-8", "replace") for rect in found or () if hasattr(rect, "dialogue")]
    return "\n".join(re.sub(r"\{[^}]*\}", "", line).replace(r"\N", "\n").strip() for line in lines)


class _Copied:
    def __init__(self, output: Any) -> None:
        self.output = output
        self._end: Fraction | None = None
        self._last = -(2**63)

    def take(self, packet: av.Packet) -> list[av.Packet]:
        time = packet.pts if packet.dts is None else packet.dts
        if time is None or (self.output.type == "audio" and self._overlaps(packet, time)):
            return []
        packet.stream = self.output
        return [packet]

    def flush(self) -> list[av.Packet]:
        return []

    def _overlaps(self, packet: av.Packet, time: int) -> bool:
        """Whether a packet lies before the end of the last one, as over a joint or in a damaged file."""
        length = (packet.duration or 0) * packet.time_base
        start = time * packet.time_base
        if self._end is not None and (time <= self._last or start < self._end - length / 2):
            return True
        self._end, self._last = start + length, time
        return False


class _Encoded:
    def __init__(self, stream: av.AudioStream, output: av.AudioStream) -> None:
        self._stream, self.output = stream, output
        self._resampler = av.AudioResampler("fltp", output.layout, output.rate, frame_size=1024)
        self._damaged = False

    def take(self, packet: av.Packet) -> list[av.Packet]:
        try:
            return [done for frame in self._stream.decode(packet) for done in self._encode(frame)]
        except (FFmpegError, ValueError):
            if not self._damaged:
                at = float((packet.dts or packet.pts or 0) * packet.time_base)
                warnings.warn(f"sound at {at:.1f} s is damaged: left out", stacklevel=1)
            self._damaged = True
            return []

    def flush(self) -> list[av.Packet]:
        rest: list[av.Packet] = []
        for step in (
            lambda: [p for f in self._stream.decode(None) for p in self._encode(f)],
            lambda: self._encode(None),
        ):
            try:
                rest += step()
            except (FFmpegError, ValueError):  # the end of a damaged track
                continue
        return [*rest, *self.output.encode(None)]

    def _encode(self, frame: av.AudioFrame | None) -> list[av.Packet]:
        return [done for piece in self._resampler.resample(frame) for done in self.output.encode(piece)]


class _Rewritten:
    """Subtitles of one text format in another, without their styles."""

    def __init__(self, stream: Any, output: Any, how: str) -> None:
        self._stream, self.output, self._how = stream, output, how

    def take(self, packet: av.Packet) -> list[av.Packet]:
        if packet.pts is None:
            return []
        try:
            text = plain_text(self._stream, packet).encode()
        except (FFmpegError, ValueError):
            return []
        if not text:
            return []
        made = av.Packet(struct.pack(">H", len(text)) + text if self._how == "mov_text" else text)
        made.pts = made.dts = packet.pts
        made.duration, made.time_base, made.is_keyframe = packet.duration, packet.time_base, True
        made.stream = self.output
        return [made]

    def flush(self) -> list[av.Packet]:
        return []


def _channels(layout: str) -> int:
    try:
        return len(av.AudioLayout(layout).channels)
    except ValueError:  # of a damaged header
        return 0
