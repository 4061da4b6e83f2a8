"""A film put together from its encoded picture and all that its source holds besides."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from flowchroma.errors import UserError
from flowchroma.film.crop import cropped
from flowchroma.film.encoder import Encoder
from flowchroma.film.frame_times import open_container
from flowchroma.film.picture import Picture
from flowchroma.film.streams import OtherStreams, StreamCopier
from flowchroma.film.video import VideoFile

_SOUND_AHEAD = 0.5  # seconds by which sound is written before the picture
_TRIED = 3  # frames
_CARRIED = 400  # packets
_ROUNDING = 2e-3  # seconds; Matroska counts in milliseconds


def mux(path: Path, container: str, picture: Picture, others: OtherStreams | None, limit: int | None = None) -> None:
    """Write a film's file.

    Args:
        path: Where to.
        container: FFmpeg's name of its kind.
        picture: Its encoded frames.
        others: What goes with it.
        limit: Packets of sound and subtitles, at most.

    Raises:
        FFmpegError, OSError, ValueError: It cannot be written.
    """
    # The header goes first, so that a browser can start before the whole film is there.
    options = {} if container == "matroska" else {"movflags": "+faststart"}
    template, copier = picture.stream, None
    odd = cropped(template, next(picture.packets()), picture.size) if picture.is_padded else None
    try:
        output = av.open(str(path.absolute()), "w", format=container, options=options)
        try:
            stream = output.add_stream_from_template(odd.streams.video[0] if odd else template, opaque=True)
            stream.codec_context.extradata = template.codec_context.extradata
            stream.time_base = picture.schedule.base
            if picture.deep and container != "matroska":
                stream.codec_context.codec_tag = "hvc1"  # Apple's players take no other
            stream.disposition = Disposition.default
            if others:
                stream.metadata.update(others.picture)
                copier = StreamCopier(others, output, limit)
            _write(output, stream, picture, copier, others.shift if others else picture.start)
        finally:
            output.close()
    finally:
        if copier:
            copier.close()
        if odd:
            odd.close()


def prove(path: Path, container: str, encoder: Encoder, others: OtherStreams | None) -> OtherStreams | None:
    """Write a film of a few frames, end included, with all that is to go with it; less of that where it must be.

    Args:
        path: Of a file that is removed again.
        container: Of the film to be written.
        encoder: Made for this, with nothing in it.
        others: What is to go with the picture.

    Returns:
        What can go with it, with a line for each thing that cannot.

    Raises:
        UserError: Not even the picture can be written.
    """
    reason: Exception | None = None
    try:
        for _ in range(_TRIED):
            encoder.write(np.zeros((*encoder.size, 3), np.uint16 if encoder.deep else np.uint8))
        encoder.finish()
        for less in _lesser(others):
            try:
                mux(path, container, encoder.picture(), less, _CARRIED)
            except (FFmpegError, OSError, ValueError) as error:
                reason = reason or error
                continue
            if less and others:
                less.notices = [*others.notices, *_lost(others, less, path, reason)]
            return less
    finally:
        encoder.close()
        path.unlink(missing_ok=True)
    width, height = encoder.size[1], encoder.size[0]
    said = getattr(reason, "strerror", None) or reason
    raise UserError(f"a film of {width} x {height} pixels cannot be written as {container}: {said}")


def fallbacks(others: OtherStreams | None) -> list[OtherStreams | None]:
    """The other streams, and what is left of them where writing them fails at the end after all."""
    return _lesser(others)


def differences(path: Path, picture: Picture) -> str:
    """What is not as it should be in a film that was written; empty where all is well."""
    made = VideoFile(path)
    if len(made) != picture.count:
        return f"it shows {len(made)} frames, not {picture.count}"
    if made.size != picture.size:
        return f"its frames are {made.size[1]} x {made.size[0]}, not {picture.size[1]} x {picture.size[0]}"
    base, times, _ = made.times
    wanted = np.array(picture.times, dtype=float) * float(picture.schedule.base)
    off = np.abs((np.array(times, dtype=float) - times[0]) * float(base) - (wanted - wanted[0])).max()
    if off > _ROUNDING:
        return f"its frames are shown up to {off:.3f} s too early or late"
    with open_container(path) as container:
        length = (container.duration or 0) / av.time_base
    if length and length < (wanted[-1] - wanted[0]) * (1 - 1e-3) - _ROUNDING:
        return f"it lasts {length:.2f} s, not {wanted[-1] - wanted[0]:.2f} s"
    return ""


def _write(
    output: av.container.OutputContainer,
    stream: av.VideoStream,
    picture: Picture,
    copier: StreamCopier | None,
    shift: Fraction,
) -> None:
    ticks = round(shift / picture.schedule.base)
    output.start_encoding()
    if copier:
        copier.begin()
    for packet in picture.packets():
        packet.pts, packet.dts = (packet.pts or 0) - ticks, (packet.dts or 0) - ticks
        packet.stream = stream
        if copier:
            copier.feed(float(packet.dts * packet.time_base) + _SOUND_AHEAD)
        output.mux(packet)
    if copier:
        copier.finish()


def _lesser(others: OtherStreams | None) -> list[OtherStreams | None]:
    return [others, others.only_sound(), others.nothing()] if others else [None]


def _lost(others: OtherStreams, carried: OtherStreams, path: Path, reason: Exception | None) -> Iterable[str]:
    """What of the other streams is not in a film that was written with them, though the streams are."""
    name = others.film.path
    if reason is not None:
        what = "sound, subtitles and all else" if not carried.choices else "all but picture and sound"
        why = getattr(reason, "strerror", None) or reason
        yield f"{what} of {name} cannot be written to {others.container} ({why}): left out"
        return
    with open_container(path) as made, open_container(name) as source:
        kept = {key.lower() for key in made.metadata}
        chapters = len(made.chapters())
        for at, choice in enumerate(carried.choices, 1):  # the picture comes first
            before, after = source.streams[choice.index], made.streams[at]
            for key in ("language", "title"):
                value = before.metadata.get(key, "und")
                if value != "und" and key not in after.metadata and after.metadata.get("handler_name") != value:
                    yield f"{others.container} does not keep the {key} of {before.type} {choice.index} of {name}"
    lost = [key for key in others.metadata if key.lower() not in kept]
    if lost:
        yield f"{others.container} does not keep {', '.join(lost)} of {name}: left out"
    if chapters < len(others.chapters):
        yield f"{others.container} keeps {chapters} of {len(others.chapters)} chapters of {name}"
