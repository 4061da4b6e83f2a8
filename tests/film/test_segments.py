"""A film written by segments is the one written at once."""

import warnings
from fractions import Fraction

import av
import numpy as np
import pytest

from flowchroma.film import HeldFilm, open_film, open_writer
from flowchroma.film.segments import open_segments

from .segmented import CUTS, KEY, at_once, fill, hidden, packets, seconds, segmented, spans

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def source(tmp_path, write_film, numbered):
    return write_film(tmp_path / "in.mp4", [numbered(n) for n in range(40)], sound={"aac": 1})


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_joined_film_is_the_one_written_at_once(tmp_path, source, sound_of, number_of, name):
    whole, made = at_once(source, tmp_path / f"whole{name}"), segmented(source, tmp_path / name)
    assert [number_of(frame) for frame in made] == list(range(40))
    assert seconds(made) == pytest.approx(seconds(whole), abs=1e-9)
    assert made.rate == whole.rate
    assert sound_of(made.path) == sound_of(whole.path)
    assert sound_of(made.path)[0]
    with av.open(str(made.path)) as one, av.open(str(whole.path)) as other:
        assert (one.duration, one.start_time) == (other.duration, other.start_time)
        assert [s.type for s in one.streams] == [s.type for s in other.streams]
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize(("first", "seed"), [(0, 2), (700, 2), (0, 3), (0, 7)])
def test_uneven_times_are_kept_over_joints_and_decoding_times_rise(tmp_path, write_film, numbered, name, first, seed):
    gaps = np.random.default_rng(seed).integers(1, 300, 40)
    times = [int(t) for t in np.cumsum(gaps) - gaps[0] + first]
    source = write_film(tmp_path / "in.mkv", [numbered(n) for n in range(40)], times=times, time_base=Fraction(1, 1000))
    made = segmented(source, tmp_path / name)
    assert seconds(made)[:40] == pytest.approx(seconds(open_film(source))[:40], abs=1e-6)
    if name == "out.mp4":  # Matroska does not hold them
        rows = packets(made.path)
        assert (np.diff([dts for dts, _ in rows]) > 0).all()
        assert all(dts <= pts for dts, pts in rows)
    assert seconds(made) == pytest.approx(seconds(at_once(source, tmp_path / f"whole{name}")), abs=1e-6)


@pytest.mark.parametrize("span", [(8, 20), (9, 10), (0, 1)])
def test_frames_of_a_segment_are_those_of_an_encoding_of_its_own(tmp_path, source, numbered, span):
    made = segmented(source, tmp_path / "out.mp4", spans(sorted({0, *span, 40})))
    with open_writer(tmp_path / "alone.mp4") as writer:
        for frame in list(HeldFilm(open_film(source)))[slice(*span)]:
            writer.write(frame)
    for one, other in zip(made.read(range(*span)), open_film(tmp_path / "alone.mp4"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_segment_can_be_decoded_without_the_others(tmp_path, source, number_of):
    film = open_film(source)
    segmented(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        stream = made.streams.video[0]
        keys = [p.pts * p.time_base * 25 for p in made.demux(stream) if p.size and p.is_keyframe]
        assert set(CUTS[:-1]) <= set(keys)
    with open_segments(tmp_path / "kept.mp4", like=film) as store:
        fill(store, film, spans())
        picture = store.folder / "segments" / f"00000009-00000020-{KEY}" / "picture.h264"
        assert [number_of(frame) for frame in open_film(picture)] == list(range(9, 20))


@pytest.mark.parametrize("size", [(63, 95), (64, 95), (15, 31)])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_odd_sides(tmp_path, write_film, numbered, size, name):
    frames = [numbered(n, size) for n in range(40)]
    source = write_film(tmp_path / "in.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    made = segmented(source, tmp_path / name)
    assert (made.size, len(made)) == (size, 40)
    with av.open(str(tmp_path / name)) as film:
        assert next(film.decode(video=0)).height == size[0] + size[0] % 2


def test_ten_bits(tmp_path, numbered):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        for n in range(40):
            frame = av.VideoFrame.from_ndarray(numbered(n), format="rgb24").reformat(format="yuv420p10le")
            frame.pts = n
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    made, whole = (
        way(source, tmp_path / name, deep=True) for way, name in ((segmented, "out.mp4"), (at_once, "whole.mp4"))
    )
    assert made.depth == 10
    assert seconds(made) == seconds(whole)
    for one, other in zip(made, whole, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 2


def test_folder_of_frames(tmp_path, source):
    whole, made = at_once(source, tmp_path / "whole"), segmented(source, tmp_path / "out")
    assert [file.name for file in made.files] == [file.name for file in whole.files]
    assert [file.read_bytes() for file in made.files] == [file.read_bytes() for file in whole.files]
    named = segmented(tmp_path / "whole", tmp_path / "again", spans([4, 9, 20]), span=(4, 20))
    assert [file.name for file in named.files] == [f"{n:05}.png" for n in range(4, 20)]
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("deep", [False, True])
def test_folder_of_deep_frames(tmp_path, deep):
    import cv2

    (tmp_path / "in").mkdir()
    for n in range(6):
        cv2.imwrite(str(tmp_path / "in" / f"scan{n}.png"), np.full((20, 30, 3), 9000 * n + 77, np.uint16))
    made = segmented(tmp_path / "in", tmp_path / "out", spans([0, 2, 3, 6]), deep=deep)
    assert [file.name for file in made.files] == [f"scan{n}.png" for n in range(6)]
    assert made.depth == (16 if deep else 8)
    if deep:
        assert [cv2.imread(str(file), -1)[3, 3, 0] for file in made.files] == [9000 * n + 77 for n in range(6)]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize("kind", [("in.mp4", "aac"), ("in.mkv", "pcm_s16le"), ("in.ts", "aac")])
def test_a_span_begins_at_time_0_with_its_sound(tmp_path, write_film, numbered, number_of, sound_of, name, kind):
    source = write_film(tmp_path / kind[0], [numbered(n) for n in range(100)], sound={kind[1]: 1}, bf="2")
    made = segmented(source, tmp_path / name, spans([30, 44, 80]), span=(30, 80))
    assert [number_of(frame) for frame in made] == list(range(30, 80))
    film = open_film(source)
    (begin, *_), start = seconds(made), seconds(film)[30]
    # Matroska has no time before 0, so that all of a film with B-frames begins a little later.
    assert begin == pytest.approx(0, abs=0.1)
    before, after = sound_of(source)[0], sound_of(made.path)[0]
    assert 1.9 < after[-1][0] - after[0][0] < 2.05
    if kind == ("in.mp4", "aac"):
        data = [data for _, data in before]
        first = data.index(after[0][1])
        assert data[first : first + len(after)] == [data for _, data in after]
        assert after[0][0] - begin == pytest.approx(before[first][0] - start, abs=2e-3)
        assert before[first - 1][0] < start <= before[first][0]
    if kind[1] == "pcm_s16le" and name == "out.mkv":
        joined, whole = b"".join(data for _, data in after), b"".join(data for _, data in before)
        at = whole.index(joined[:4000])
        assert at / 4 / 44100 == pytest.approx(start, abs=1.5e-3)
        assert whole[at : at + len(joined)] == joined
        assert len(joined) / 4 / 44100 == pytest.approx(2, abs=2e-3)


def test_a_span_has_its_part_of_subtitles_and_chapters(tmp_path, write_film, numbered):
    picture = write_film(tmp_path / "v.mkv", [numbered(n) for n in range(100)])
    with av.open(str(picture)) as film, av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream_from_template(film.streams.video[0])
        text = output.add_stream("srt")
        text.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Text\n"
        output.set_chapters([
            {"id": n, "start": n, "end": n + 1, "time_base": Fraction(1), "metadata": {"title": "abcd"[n]}}
            for n in range(4)
        ])  # fmt: skip
        output.start_encoding()
        for start, what in ((100, "gone"), (900, "before"), (1500, "in"), (2300, "after"), (3000, "late")):
            packet = av.Packet(what.encode())
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = 600, Fraction(1, 1000), text
            output.mux(packet)
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        segmented(tmp_path / "in.mkv", tmp_path / "out.mkv", spans([30, 60]), span=(30, 60))  # 1.2 to 2.4 s
    assert any("are cut to frames 30 to 59" in str(line.message) for line in said)
    with av.open(str(tmp_path / "out.mkv")) as made:
        chapters = [(float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"])) for c in made.chapters()]
        assert [c["metadata"]["title"] for c in made.chapters()] == ["b", "c"]
        rows = [(bytes(p).decode(), p.pts, p.duration) for p in made.demux(subtitles=0) if p.size]
    late = rows[0][1]  # by the delay of B-frames
    assert late <= 80
    assert np.allclose(np.diff(np.array(chapters).ravel()), [0.8, 0, 0.4], atol=2e-3)
    assert [(what, at - late, length) for what, at, length in rows] == [
        ("before", 0, 300), ("in", 300, 600), ("after", 1100, 100),
    ]  # fmt: skip
