"""Made films: every frame carries its own number, so that a frame off by one is seen."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

BITS = 8


def numbered(number: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """A frame whose number is written in binary, as bright and dark columns, over a moving ramp."""
    height, width = size
    ramp = (np.arange(height)[:, None] * 2 + number * 3) % 100
    rgb = np.repeat(ramp[:, :, None], 3, 2).repeat(width, 1).astype(np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        rgb[: height // 2, left:right] = 230 if number >> bit & 1 else 20
    return rgb


def number_of(rgb: np.ndarray) -> int:
    """The number written into a frame by `numbered`."""
    height, width = rgb.shape[:2]
    columns = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(columns) if rgb[height // 4, x].mean() > 125)


def write_film(
    path: Path,
    frames: list[np.ndarray],
    *,
    codec: str = "libx264",
    rate: Fraction | int = 25,
    times: list[int] | None = None,
    time_base: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    matrix: Colorspace = Colorspace.ITU601,
    full: bool = False,
    tag: int | None = None,
    rotation: int = 0,
    sound: dict[str, int] | None = None,
    sound_start: float = 0.0,
    container: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Write frames, and sine tones for `sound` = {codec: tracks}, with PyAV alone."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", container_options=container or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = time_base or 1 / Fraction(rate)
        if tag is not None:
            stream.codec_context.colorspace = tag
        stream.codec_context.color_range = ColorRange.JPEG if full else ColorRange.MPEG
        if rotation:
            stream.set_display_rotation(rotation)
        tracks = [output.add_stream(name, rate=44100) for name, n in (sound or {}).items() for _ in range(n)]
        for at, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
                format=pix_fmt,
                dst_colorspace=matrix,
                dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            )
            if tag is None:
                frame.colorspace = 2
            frame.pts = times[at] if times else at
            frame.time_base = time_base or 1 / Fraction(rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        for track in tracks:
            _write_tone(output, track, len(frames) / float(rate), sound_start)
    return path


def _write_tone(output, track, seconds: float, start: float) -> None:
    samples = np.arange(int(seconds * 44100))
    layout = track.layout.name
    wave = np.sin(samples * 0.06).astype(np.float32)[None].repeat(len(track.layout.channels), 0) * 0.5
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout=layout)
    frame.rate, frame.pts = 44100, 0
    resampler = av.AudioResampler(track.format, layout, 44100, frame_size=track.codec_context.frame_size or 1024)
    for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
        for packet in track.encode(piece):
            packet.pts += round(start / packet.time_base)
            packet.dts += round(start / packet.time_base)
            output.mux(packet)


def sound_of(path: Path) -> list[list[tuple[float, bytes]]]:
    """Time and bytes of every audio packet, by track."""
    with av.open(str(path)) as source:
        tracks: dict[int, list[tuple[float, bytes]]] = {stream.index: [] for stream in source.streams.audio}
        for packet in source.demux(*source.streams.audio) if tracks else ():
            if packet.size:
                tracks[packet.stream_index].append((round(float(packet.pts * packet.time_base), 3), bytes(packet)))
    return list(tracks.values())


@pytest.fixture(name="write_film")
def _write_film() -> Callable[..., Path]:
    return write_film


@pytest.fixture(name="numbered")
def _numbered() -> Callable[..., np.ndarray]:
    return numbered


@pytest.fixture(name="number_of")
def _number_of() -> Callable[[np.ndarray], int]:
    return number_of


@pytest.fixture(name="sound_of")
def _sound_of() -> Callable[[Path], list]:
    return sound_of
