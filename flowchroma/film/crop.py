"""Pixels that a container, not the codec, says are not shown: its clean aperture (ISO/IEC 14496-12, 12.1.4).

PyAV neither tells nor sets it; it is read from, and put into, the header of a film in memory.
"""

import io
import struct
from fractions import Fraction

import av
import av.container
from av.error import FFmpegError

Crop = tuple[int, int, int, int]  # pixels off the top, bottom, left and right
NONE: Crop = (0, 0, 0, 0)
_BOX = b"\0\0\0\x28clap"
_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_FULL, _ENTRY = 8, 78  # bytes of fields before the boxes within stsd, and within a picture's sample entry


def crop_of(stream: av.VideoStream) -> Crop:
    """What a stream's container says is not shown."""
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="mov", options={"movflags": "empty_moov+frag_keyframe"}) as output:
            output.add_stream_from_template(stream, opaque=True)
            output.start_encoding()
    except (FFmpegError, ValueError):
        return NONE
    box = header.getvalue()
    at = box.find(_BOX)
    if at < 0 or not stream.width or not stream.height:
        return NONE
    numbers = struct.unpack(">8i", box[at + 8 : at + 40])
    width, height, x, y = (Fraction(numbers[n], numbers[n + 1] or 1) for n in (0, 2, 4, 6))
    left, top = (stream.width - width) / 2 + x, (stream.height - height) / 2 + y
    sides = (top, stream.height - height - top, left, stream.width - width - left)
    return tuple(max(0, round(side)) for side in sides)  # type: ignore[return-value]


def cropped(stream: av.VideoStream, packet: av.Packet, size: tuple[int, int]) -> av.container.InputContainer:
    """A film in memory whose picture is a template of `stream` that shows (H, W) of it, from the top left.

    Args:
        stream: Of a container being written.
        packet: Its first; it is used up.
        size: What is shown.
    """
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as output:
        packet.stream = output.add_stream_from_template(stream, opaque=True)
        output.mux(packet)
    (height, width), coded = size, (stream.height, stream.width)
    offsets = (width - coded[1], 2, height - coded[0], 2)
    box = _BOX + struct.pack(">8i", width, 1, height, 1, *offsets)
    return av.open(io.BytesIO(_inserted(film.getvalue(), box)), "r")


def _inserted(film: bytes, box: bytes) -> bytes:
    """Put a box at the end of the first track's sample entry: in a film whose index comes last, no offset changes."""
    data = bytearray(film)
    at, end, holders = 0, len(data), []
    for name in (*_HOLDERS, None):
        while name is not None and bytes(data[at + 4 : at + 8]) != name:
            at += int.from_bytes(data[at : at + 4], "big")
        holders.append(at)
        end = at + int.from_bytes(data[at : at + 4], "big")
        at += 8 + (_FULL if name == b"stsd" else 0)
    data[end:end] = box
    for holder in holders:
        data[holder : holder + 4] = (int.from_bytes(data[holder : holder + 4], "big") + len(box)).to_bytes(4, "big")
    return bytes(data)
