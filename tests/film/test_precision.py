"""More than 8 bits, HDR, wide colour and interlaced film: kept, or told."""

import warnings
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from flowchroma.film import HeldFilm, open_film, open_writer


def written(path, planes, pix_fmt, codec="ffv1", trc=1, primaries=1, matrix=1, **options):
    """A film of the luma planes given, without colour, tagged as told."""
    height, width = planes[0].shape
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_trc, context.color_primaries, context.color_range = matrix, trc, primaries, 1
        for n, luma in enumerate(planes):
            frame = av.VideoFrame(width, height, pix_fmt)
            for plane, values in zip(frame.planes, (luma, None, None), strict=False):
                gray = 128 << (frame.format.components[0].bits - 8)
                shape = (plane.height, plane.line_size // luma.dtype.itemsize)
                rows = np.full(shape, gray, luma.dtype)
                if values is not None:
                    rows[:, :width] = values
                plane.update(rows.tobytes())
            frame.colorspace, frame.color_trc, frame.color_primaries, frame.color_range = matrix, trc, primaries, 1
            frame.pts, frame.time_base = n, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def copy(source, target, deep=True):
    film = open_film(source)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with open_writer(target, like=film, deep=deep) as writer:
            for frame in HeldFilm(film, deep=writer.deep):
                writer.write(frame)
    return [*film.notes, *(str(line.message) for line in said)]


def luma_of(path, bits):
    with av.open(str(path)) as film:
        frame = next(film.decode(video=0))
        assert frame.format.components[0].bits == bits
        assert (frame.colorspace, frame.color_trc, frame.color_primaries, frame.color_range) == (1, 1, 1, 1)
        plane = frame.planes[0]
        kind = np.uint16 if bits > 8 else np.uint8
        rows = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width]
        return rows.astype(int)


def ramp(bits, shape=(64, 192)):
    """Steps of one in the middle of the range."""
    return np.broadcast_to((400 << (bits - 10)) + np.arange(shape[1]), shape).astype(np.uint16)


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "gray10le", "yuv444p12le", "gray16le"])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_ten_bits_of_luminance_are_kept(tmp_path, pix_fmt, name):
    bits = int(pix_fmt.removesuffix("le")[-2:])
    source = written(tmp_path / "in.mkv", [ramp(bits)] * 3, pix_fmt)
    said = copy(source, tmp_path / name)
    assert [f"{bits} bits: written as 10-bit H.265" in line for line in said] == [True]
    assert (b"hvc1" in (tmp_path / name).read_bytes()) == (name == "out.mp4")
    made = luma_of(tmp_path / name, 10)
    wanted = ramp(bits) / (1 << (bits - 10))
    if pix_fmt.startswith("gray"):  # which FFmpeg takes for full range
        wanted = 64 + wanted * 876 / 1023
    assert np.abs(made - wanted).mean() < 1.5
    if bits == 10:
        assert len(np.unique(np.median(made, axis=0))) > 150  # of 192; 8 bits show 48


def test_a_line_says_where_ten_bits_are_not_kept(tmp_path):
    source = written(tmp_path / "in.mkv", [ramp(10)] * 3, "yuv420p10le")
    assert "10 bits, of which 8 are kept" in " ".join(copy(source, tmp_path / "out.mp4", deep=False))
    assert luma_of(tmp_path / "out.mp4", 8).mean() == pytest.approx(ramp(10).mean() / 4, abs=0.2)
    assert "written as 16-bit PNG" in " ".join(copy(source, tmp_path / "frames"))
    frame = cv2.imread(str(tmp_path / "frames" / "00000.png"), cv2.IMREAD_UNCHANGED)
    assert frame.dtype == np.uint16
    assert len(np.unique(frame[30, :, 1])) == 192


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("kind", ["gray", "rgb", "float"])
def test_deep_scans_keep_their_values(tmp_path, suffix, kind):
    if kind == "float" and suffix == "png":
        pytest.skip("PNG holds no floats")
    values = np.linspace(1000, 65000, 60 * 40).round().astype(np.uint16).reshape(40, 60)
    scan = {"gray": values, "rgb": np.dstack([values] * 3), "float": (values / 65535).astype(np.float32)}[kind]
    (tmp_path / "in").mkdir()
    for n in range(2):
        assert cv2.imwrite(str(tmp_path / "in" / f"{n}.{suffix}"), scan)
    said = copy(tmp_path / "in", tmp_path / "out")
    assert len(said) == 1
    assert "16 bits: written as 16-bit PNG" in said[0]
    made = cv2.imread(str(tmp_path / "out" / "1.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(made[:, :, 0].astype(int) - values).max() <= 1
    assert open_film(tmp_path / "in").read([0])[0].dtype == np.uint8  # what training reads
    assert np.abs(open_film(tmp_path / "in").read([0])[0][:, :, 0] - values / 257).max() <= 1


def test_scans_of_12_bits_in_16_are_told(tmp_path):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "0.tif"), np.linspace(0, 4095, 1200).astype(np.uint16).reshape(30, 40))
    assert any("12 of its 16 bits" in line for line in open_film(tmp_path / "in").notes)


def pq(nits):
    """SMPTE ST 2084, equation 5.2."""
    y = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(light):
    """BT.2100, table 5: scene light in [0, 1]."""
    return (3 * light) ** 0.5 if light <= 1 / 12 else 0.17883277 * np.log(12 * light - 0.28466892) + 0.55991073


@pytest.mark.parametrize(("trc", "name", "codes"), [
    (16, "PQ", {0: 0, pq(10): (10 / 203) ** (1 / 2.4), pq(50): (50 / 203) ** (1 / 2.4), pq(1000): 1, pq(4000): 1}),
    (18, "HLG", {0: 0, hlg(0.05): (0.05**1.2 * 1000 / 203) ** (1 / 2.4), hlg(1): 1}),
    (1, "wide", {0: 0, 0.25: 0.25, 0.7: 0.7, 1: 1}),
])  # fmt: skip
def test_hdr_and_wide_colour_are_mapped_to_an_ordinary_screen_and_told(tmp_path, trc, name, codes):
    columns = np.repeat([round(64 + 876 * code) for code in codes], 24)
    luma = np.broadcast_to(columns, (64, len(columns))).astype(np.uint16)
    source = written(tmp_path / "in.mkv", [luma] * 3, "yuv420p10le", trc=trc, primaries=9, matrix=9)
    said = " ".join(copy(source, tmp_path / "out.mp4"))
    assert name in said
    assert "BT.709" in said
    made = (luma_of(tmp_path / "out.mp4", 10)[32, 12::24] - 64) / 876
    assert made == pytest.approx(list(codes.values()), abs=0.02)
    middle = open_film(source).read([1])[0][32, 12::24, 1] / 255  # what 8-bit readers see
    assert middle == pytest.approx(list(codes.values()), abs=0.02)


def test_highlights_keep_their_order():
    from flowchroma.film.hdr import to_screen

    nits = np.geomspace(1, 1000, 200)
    codes = (pq(nits) * 65535).round().astype(np.uint16)
    shown = to_screen(codes[None, :, None].repeat(3, 2), 16, 9)[0, :, 0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert (np.diff(shown[nits < 900]) > 0).all()


def fields(n, shape=(64, 96)):
    """A bar that moves, at twice the frame rate, woven from two fields; and the bar at the time of each."""
    bars = []
    for half in range(2):
        rows = np.full(shape, 40, np.uint8)
        left = 10 + 8 * n + 4 * half
        rows[:, left : left + 12] = 220
        bars.append(rows)
    woven = bars[0].copy()
    woven[1::2] = bars[1][1::2]
    return woven, *bars


def combing(rgb):
    luma = rgb[:, :, 1].astype(int)
    return np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:]).mean()


def test_interlaced_film_is_deinterlaced_and_told(tmp_path):
    frames = [fields(n) for n in range(8)]
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1", "crf": "1"}
    source = written(tmp_path / "in.mp4", [woven for woven, *_ in frames], "yuv420p", "libx264", **options)
    assert combing(open_film(source).read([4])[0]) > 30
    assert any("deinterlaced" in line for line in copy(source, tmp_path / "out.mp4"))
    made = list(open_film(tmp_path / "out.mp4"))
    assert len(made) == 8
    for rgb, (_, *bars) in list(zip(made, frames, strict=True))[1:-1]:
        assert combing(rgb) < 8
        luma = rgb[:, :, 1].astype(int)
        assert min(np.abs(luma - (bar - 16.0) * 255 / 219).mean() for bar in bars) < 8  # no frame too early or late
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert not next(film.decode(video=0)).interlaced_frame


def test_bad_frames_of_an_interlaced_film_stay_in_their_place(tmp_path, monkeypatch):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1:keyint=1", "crf": "1"}
    source = written(tmp_path / "in.mp4", [fields(n)[0] for n in range(8)], "yuv420p", "libx264", **options)
    from flowchroma.film import video

    attempt = video._Cursor.attempt

    def gone(self, index):
        frame = attempt(self, index)
        return None if index in (0, 3, 7) else frame

    monkeypatch.setattr(video._Cursor, "attempt", gone)
    given = [isinstance(frame, np.ndarray) for frame in open_film(source).attempt()]
    assert given == [n not in (0, 3, 7) for n in range(8)]
