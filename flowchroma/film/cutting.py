"""What goes with a stretch of a film: of sound, subtitles and chapters, that which lies in it."""

import re
from fractions import Fraction
from math import ceil, floor
from typing import Any

import av

_PLAIN = re.compile(r"pcm_(?:[suf](8|16|24|32|64)(?:[lb]e)?|mulaw|alaw)")  # names of codecs, with their bits


def move(packet: av.Packet, shift: Fraction) -> None:
    """Give a packet its times on a clock that starts `shift` seconds later."""
    ticks = round(shift / packet.time_base)
    if packet.pts is not None:
        packet.pts -= ticks
    if packet.dts is not None:
        packet.dts -= ticks


def cut(packet: av.Packet, stream: Any, length: Fraction | None) -> av.Packet | None:
    """What of a packet lies in [0, `length`) seconds; None if nothing. All of it does where `length` is None.

    Plain samples and the times of subtitles are cut. Compressed sound is taken packet by packet, those alone that begin
    in the stretch: others begin with what comes before it.
    """
    time = packet.dts if packet.pts is None else packet.pts
    if length is None or time is None:
        return packet
    end = length / packet.time_base
    if stream.type == "subtitle":
        return _shown(packet, time, floor(end))
    plain = _samples(packet, stream)
    if plain:
        return _sliced(packet, time, end, *plain)
    if not -1 <= time < end:  # a tick early is rounding
        return None
    if time < 0:
        packet.pts = packet.dts = 0
    return packet


def moved_chapters(chapters: list[Any], shift: Fraction, length: Fraction | None = None) -> list[Any]:
    """Chapters on a clock that starts `shift` seconds later, and ends after `length` of them."""
    moved = []
    for chapter in chapters:
        ticks = round(shift / chapter["time_base"])
        start, end = chapter["start"] - ticks, chapter["end"] - ticks
        if length is not None:
            start, end = max(0, start), min(end, floor(length / chapter["time_base"]))
            if start >= end:
                continue
        moved.append({**chapter, "start": start, "end": end})
    return moved


def _shown(packet: av.Packet, time: int, end: int) -> av.Packet | None:
    first, last = max(0, time), min(time + (packet.duration or 0), end)
    if first >= end or (time < 0 and last <= 0):
        return None
    packet.pts = packet.dts = first
    packet.duration = max(0, last - first)
    return packet


def _samples(packet: av.Packet, stream: Any) -> tuple[int, Fraction] | None:
    """Bytes of a sample of all channels, and its ticks; None where sound is compressed, or has headers in it."""
    found = _PLAIN.fullmatch(stream.codec_context.name)
    size = int(found[1] or 8) // 8 * stream.channels if found else 0
    return (size, 1 / (stream.rate * packet.time_base)) if size and packet.size % size == 0 else None


def _sliced(packet: av.Packet, time: int, end: Fraction, size: int, each: Fraction) -> av.Packet | None:
    count = packet.size // size
    first, last = max(0, ceil(-time / each)), min(count, ceil((end - time) / each))
    if first >= last:
        return None
    if last - first == count:
        return packet
    made = av.Packet(bytes(packet)[first * size : last * size])
    made.pts = made.dts = max(0, time + round(first * each))
    made.duration, made.time_base = round((last - first) * each), packet.time_base
    made.is_keyframe, made.stream = packet.is_keyframe, packet.stream
    return made
