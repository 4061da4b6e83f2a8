"""What a film holds besides its picture, and what of it another container can hold."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import av.container
from av.stream import Disposition

from flowchroma.film.clocks import ANY_START, Clock
from flowchroma.film.container_support import ERRORS, Packets, as_aac, can_hold, first_packets, remade
from flowchroma.film.cutting import cut, move, moved_chapters
from flowchroma.film.frame_times import open_container, video_stream, whole_packets
from flowchroma.film.schedule import Schedule
from flowchroma.film.tracks import Choice, Track, open_track, plain_text, settle_layout
from flowchroma.film.video import VideoFile

_UNEVEN = 10  # seconds by which streams of a file run ahead of each other, at most
# Written by muxers about themselves.
_TECHNICAL = {
    "encoder", "major_brand", "minor_version", "compatible_brands", "duration", "handler_name", "vendor_id", "language",
    "creation_time", "timecode", "bps", "number_of_frames", "number_of_bytes", "software", "isft",
}  # fmt: skip


@dataclass
class OtherStreams:
    """All that is carried from a film into a container of a kind, and a line for each thing that is not."""

    film: VideoFile
    container: str
    choices: list[Choice] = field(default_factory=list)
    attachments: list[tuple[str, str, bytes]] = field(default_factory=list)  # name, type, content
    covers: list[int] = field(default_factory=list)  # streams
    chapters: list[Any] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    picture: dict[str, str] = field(default_factory=dict)  # metadata of the picture's stream
    shift: Fraction = Fraction(0)  # seconds at which the film's clock starts
    length: Fraction | None = None  # seconds after that which are carried; None for all
    notices: list[str] = field(default_factory=list)

    def only_sound(self) -> "OtherStreams":
        """Nothing but its sound, encoded anew."""
        with open_container(self.film.path) as source:
            aac = [as_aac(source.streams[c.index], self.container) for c in self.choices if _is_sound(source, c)]
        return OtherStreams(self.film, self.container, [c for c in aac if c], shift=self.shift, length=self.length)

    def nothing(self) -> "OtherStreams":
        """The times alone."""
        return OtherStreams(self.film, self.container, shift=self.shift)


class StreamCopier:
    """Copies a film's other streams into a container being written; see `OtherStreams`."""

    def __init__(self, others: OtherStreams, output: av.container.OutputContainer, limit: int | None = None) -> None:
        self._shift, self._length, self._output, self._limit = others.shift, others.length, output, limit
        self._source = open_container(others.film.path)
        self._covers: list[av.Packet] = []
        streams: list[Any] = [self._source.streams[choice.index] for choice in others.choices]
        for stream in streams:
            if stream.type == "audio":
                settle_layout(stream)
        self._tracks: dict[int, Track] = {
            choice.index: open_track(choice, stream, output)
            for choice, stream in zip(others.choices, streams, strict=True)
        }
        if not any(stream.disposition & Disposition.default for stream in self._source.streams):
            # A container that knows no such mark, as broadcasts have it: players take the first.
            first = next((track for track in self._tracks.values() if track.output.type == "audio"), None)
            if first is not None:
                first.output.disposition |= Disposition.default
        for index in others.covers:
            self._cover(others, index)
        for name, kind, content in others.attachments:
            output.add_attachment(name, kind, content)
        if others.chapters:
            output.set_chapters(others.chapters)
        output.metadata.update(others.metadata)
        clock = Clock(others.film.index.parts)
        self._packets: Iterator[av.Packet] = iter(())
        if streams:
            self._packets = whole_packets(self._source, streams, others.film.path, clock)

    def begin(self) -> None:
        """Write what comes before all else."""
        self._output.mux(self._covers)

    def feed(self, until: float) -> None:
        """Write the packets up to a time of the output in seconds, and one beyond it."""
        for packet in self._packets:
            track = self._tracks.get(packet.stream_index)
            time = packet.pts if packet.dts is None else packet.dts
            if not packet.size or track is None or time is None:
                continue
            at = time * packet.time_base - self._shift
            move(packet, self._shift)
            if self._length is not None and at > self._length + _UNEVEN:
                self._packets = iter(())
                return
            part = cut(packet, self._source.streams[packet.stream_index], self._length)
            if part is None:
                continue
            if self._limit is not None:
                self._limit -= 1
                if self._limit < 0:
                    return
            self._output.mux(track.take(part))
            if float(at) > until:
                return

    def finish(self) -> None:
        """Write all that is left."""
        self.feed(float("inf"))
        for track in self._tracks.values():
            self._output.mux(track.flush())

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _cover(self, others: OtherStreams, index: int) -> None:
        with open_container(others.film.path) as source:
            packet = next(p for p in source.demux(source.streams[index]) if p.size)
            packet.stream = self._output.add_stream_from_template(source.streams[index], opaque=True)
            packet.stream.disposition = Disposition.attached_pic
            packet.pts = packet.dts = 0
            self._covers.append(packet)


def load(film: VideoFile, container: str, span: tuple[int, int] | None = None) -> OtherStreams:
    """Find what a container can hold of a film, by trying each stream on one in memory: no table says it for sure.

    Args:
        film: What is carried from.
        container: FFmpeg's name of its kind.
        span: Numbers of the first frame that it goes with and of the one after the last; None for all.
    """
    others = OtherStreams(film, container)
    with open_container(film.path) as source:
        if source.format.flags & ANY_START:
            others.shift = Fraction(source.start_time or 0, av.time_base)
        time_base, times, _ = film.times
        others.shift = min(others.shift, times[0] * time_base)  # what is before time 0 is not shown
        picture = video_stream(source, film.path)
        others.picture = {key: picture.metadata[key] for key in ("language", "title") if key in picture.metadata}
        packets = first_packets(source, film.path)
        for stream in source.streams:
            if stream.index == picture.index:
                continue
            try:
                _place(others, stream, packets, bool(source.chapters()))
            except ERRORS as error:  # of a damaged header
                others.notices.append(f"stream {stream.index} of {film.path} cannot be read ({error}): left out")
        others.metadata = {key: value for key, value in source.metadata.items() if not _is_technical(key.lower())}
        others.chapters = source.chapters()
    if span is not None:
        _narrow(others, *span)
    others.chapters = moved_chapters(others.chapters, others.shift, others.length)
    return others


def left_behind(film: VideoFile, what: str) -> list[str]:
    """A line that says what a thing that has the picture alone cannot hold of a film."""
    with open_container(film.path) as source:
        counts = {
            "sound": len(source.streams.audio),
            "subtitle": len(source.streams.subtitles),
            "attachment": len(source.streams.attachments),
        }
        chapters = len(source.chapters())
    parts = [f"{count} {kind} track{'s' * (count > 1)}" for kind, count in counts.items() if count]
    parts += [f"{chapters} chapter{'s' * (chapters > 1)}"] if chapters else []
    return [f"{what} holds no {' and no '.join(parts)} of {film.path}: left out"] if parts else []


def _place(others: OtherStreams, stream: Any, packets: Packets, has_chapters: bool) -> None:
    """Decide what becomes of one stream."""
    where, path = others.container, others.film.path
    codec = stream.codec_context.name if stream.codec_context else ""
    if stream.type == "audio":
        _place_sound(others, stream, packets)
    elif stream.type == "subtitle":
        choice = _for_subtitles(others, stream, packets)
        if choice is None:
            others.notices.append(f"the {codec} subtitles of {path} do not fit into {where}: left out")
        else:
            others.choices.append(choice)
            if choice.how != "copy":
                others.notices.append(f"the {codec} subtitles of {path} become {choice.how}, without their styles")
    elif stream.type == "video" and stream.disposition & Disposition.attached_pic:
        _place_cover(others, stream, packets)
    elif stream.type == "attachment":
        if where == "matroska":
            name = getattr(stream, "name", None) or stream.metadata.get("filename", "attachment")
            others.attachments.append((name, stream.mimetype or "application/octet-stream", stream.data))
        else:
            others.notices.append(
                f"the attachment {getattr(stream, 'name', None) or ''} of {path} does not fit into {where}: left out"
            )
    elif stream.type == "video":
        others.notices.append(f"{path} holds another picture, stream {stream.index}: left out")
    elif not (stream.type == "data" and has_chapters):  # whose titles the mov family keeps in a stream
        others.notices.append(f"the {_data_name(stream)} of {path} is left out")


def _place_sound(others: OtherStreams, stream: Any, packets: Packets) -> None:
    if stream.codec_context is None:
        others.notices.append(f"the sound of stream {stream.index} of {others.film.path} is of no known kind: left out")
        return
    codec = stream.codec_context.name
    # Few players read plain PCM from mp4.
    plain = others.container == "mp4" and codec.startswith("pcm_")
    if not plain and can_hold(others.container, stream, packets):
        others.choices.append(Choice(stream.index, "copy"))
        return
    channels = stream.channels
    choice = as_aac(stream, others.container)
    name = f"the {codec} sound of {others.film.path}"
    if choice is None:
        others.notices.append(f"{name} cannot be encoded anew: left out")
        return
    others.choices.append(choice)
    kept = len(av.AudioLayout(choice.layout).channels)
    fewer = f", {channels} channels to {kept}" if kept < channels else ""
    others.notices.append(f"{name} does not fit into {others.container}: encoding it to AAC{fewer}")


def _place_cover(others: OtherStreams, stream: Any, packets: Packets) -> None:
    codec = stream.codec_context.name if stream.codec_context else ""
    rows = packets.get(stream.index)
    if others.container == "matroska" and rows:
        kind = {"mjpeg": "jpeg", "png": "png", "bmp": "bmp", "gif": "gif", "webp": "webp"}.get(codec)
        if kind:
            number = sum(name.startswith("cover") for name, _, _ in others.attachments)
            suffix = "jpg" if kind == "jpeg" else kind
            name = f"cover{number or ''}.{suffix}"
            others.attachments.append((name, f"image/{kind}", rows[0][0]))
            return
    elif rows and others.container == "mp4" and can_hold(others.container, stream, packets):
        others.covers.append(stream.index)
        return
    others.notices.append(f"the cover of {others.film.path} does not fit into {others.container}: left out")


def _for_subtitles(others: OtherStreams, stream: Any, packets: Packets) -> Choice | None:
    if stream.codec_context is None:
        return None
    if can_hold(others.container, stream, packets):
        return Choice(stream.index, "copy")
    how = "subrip" if others.container == "matroska" else "mov_text"
    rows = packets.get(stream.index, [])
    try:
        if rows and not any(plain_text(stream, remade(row)) for row in rows):
            return None  # pictures of text
    except ERRORS:
        return None
    choice = Choice(stream.index, how)
    try:
        with av.open(io.BytesIO(), "w", format=others.container) as trial:
            open_track(choice, stream, trial)
            trial.start_encoding()
    except ERRORS:
        return None
    return choice


def _narrow(others: OtherStreams, start: int, stop: int) -> None:
    schedule = Schedule(others.film, others.film.rate)
    others.shift = schedule.seconds(start)
    others.length = schedule.seconds(stop) - others.shift
    if others.choices or others.chapters:
        others.notices.append(
            f"sound, subtitles and chapters of {others.film.path} are cut to frames {start} to {stop - 1}"
        )


def _is_sound(source: av.container.InputContainer, choice: Choice) -> bool:
    return source.streams[choice.index].type == "audio"


def _is_technical(key: str) -> bool:
    return key in _TECHNICAL or key.startswith(("product_", "toolkit_", "application_")) or key.endswith(("uid", "_ul"))


def _data_name(stream: Any) -> str:
    if "timecode" in stream.metadata:
        return f"timecode {stream.metadata['timecode']}"
    name = stream.metadata.get("handler_name") or getattr(stream, "name", None) or "unknown"
    return f"data of stream {stream.index} ({name})"
