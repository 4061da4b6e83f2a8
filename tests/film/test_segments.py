"""A film written by segments is the one written at once, whatever ended the process in between."""

import errno
import json
import shutil
import subprocess
import sys
import warnings
from collections import namedtuple
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import HeldFilm, open_film, open_writer
from flowchroma.film.segments import TakenError, open_segments, require_space

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
CUTS = [0, 1, 8, 9, 20, 36, 40]
KEY = "a1"
ROOT = Path(__file__).parents[2]


def spans(cuts=CUTS):
    return [(start, stop, KEY) for start, stop in pairwise(cuts)]


def fill(store, film, segments, only=None):
    """Write the segments that are not there; their number."""
    frames = list(HeldFilm(film, deep=store.deep))
    missing = [segment for segment in segments if not store.has(*segment)][:only]
    for start, stop, key in missing:
        with store.segment(start, stop, key) as writer:
            for frame in frames[start:stop]:
                writer.write(frame)
    return len(missing)


def segmented(source, target, segments=None, **options):
    film = open_film(source)
    with open_segments(target, like=film, **options) as store:
        segments = segments or spans()
        fill(store, film, segments)
        assert store.join(segments) == Path(target)
    return open_film(target)


def at_once(source, target, **options):
    film = open_film(source)
    with open_writer(target, like=film, **options) as writer:
        for frame in HeldFilm(film, deep=writer.deep):
            writer.write(frame)
    return open_film(target)


def seconds(film):
    base, times, last = film.times
    return [float(t * base) for t in [*times, times[-1] + last]]


def packets(path):
    """When the picture's packets are decoded and shown, in the order of the file."""
    with av.open(str(path)) as source:
        return [(p.dts, p.pts) for p in source.demux(video=0) if p.size]


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


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


def begun(source, target, only=4, **options):
    """Work that an error ended after some segments."""

    class EndedError(Exception):
        pass

    film = open_film(source)
    with suppress(EndedError), open_segments(target, like=film, **options) as store:
        fill(store, film, spans(), only)
        raise EndedError
    return film


def truncate(path, size):
    with path.open("r+b") as file:
        file.truncate(size)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_all(folder):
    """Each segment in another way; how many."""
    segments = sorted((folder / "segments").iterdir())
    name = "picture.h264"
    truncate(segments[0] / name, 100)
    flip(segments[1] / name)
    truncate(segments[2] / "picture.rows", 0)
    (segments[3] / "index.json").write_text('{"codec": "h2')
    (segments[4] / "picture.rows").unlink()
    (segments[5] / "index.json").write_text("")
    return 6


def test_leftovers_that_are_damaged_are_made_anew(tmp_path, source):
    target = tmp_path / "out.mp4"
    film = begun(source, target, only=None)
    folder = tmp_path / ".out.mp4.flowchroma"
    damaged = damage_all(folder)
    (folder / "segments" / f"00000000-00000040-{KEY}.partial").mkdir()
    (folder / "joined").mkdir()
    (folder / "joined" / "film").write_bytes(b"half a film")
    with open_segments(target, like=film) as store:
        with pytest.raises(UserError, match=r"frames 0 to 0 of .* are missing or damaged"):
            store.join(spans())
        assert fill(store, film, spans()) == damaged
        store.join(spans())
    whole = segmented(source, tmp_path / "whole.mp4")
    for one, other in zip(open_film(target), whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("text", ["", '{"format": 1, "jo', "[]", '{"format": 99}'])
def test_work_whose_job_cannot_be_read_is_begun_anew(tmp_path, source, text):
    film = begun(source, tmp_path / "out.mp4")
    (tmp_path / ".out.mp4.flowchroma" / "job.json").write_text(text)
    with (
        pytest.warns(UserWarning, match="cannot be read: beginning anew"),
        open_segments(tmp_path / "out.mp4", like=film) as store,
    ):
        assert fill(store, film, spans()) == len(spans())


def test_work_goes_on_and_its_segments_depend_on_their_key(tmp_path, source):
    film = begun(source, tmp_path / "out.mp4")
    with open_segments(tmp_path / "out.mp4", like=film) as store:
        assert store.frames == 20
        assert [store.has(*segment) for segment in spans()] == [True] * 4 + [False] * 2
        assert not store.has(0, 1, "other")
        assert fill(store, film, spans()) == 2
        store.join(spans(), remove=False)
        assert store.frames == 40
    assert hidden(tmp_path) == [".out.mp4.flowchroma"]


def test_options_that_changed_are_named(tmp_path, source, write_film, numbered):
    target = tmp_path / "out.mp4"
    film = begun(source, target, job={"size": 240, "reference": "abc"}, crf=17)
    for options, message in (
        ({"job": {"size": 320, "reference": "abc"}}, "begun with size=240, not size=320: give that again, another"),
        ({"job": {"reference": "abc"}, "crf": 20}, "with quality=17, size=240, not quality=20, size=none"),
    ):
        with pytest.raises(UserError, match=message), open_segments(target, like=film, **options):
            pass
    write_film(source, [numbered(n) for n in range(39)])
    with pytest.raises(UserError, match="with the film in as it was then"):
        begun(source, target, job={"size": 240, "reference": "abc"})
    shutil.rmtree(tmp_path / ".out.mp4.flowchroma")
    begun(source, target, job={"size": 240}, only=2)
    begun(source, target, job={"size": 240}, only=0, overwrite=True)  # goes on
    assert json.loads((tmp_path / ".out.mp4.flowchroma/job.json").read_text())["job"]["size"] == 240
    with open_segments(target, like=open_film(source), job={"size": 320}, overwrite=True) as store:
        assert store.frames == 0
    assert hidden(tmp_path) == []


def test_nothing_is_left_where_no_segment_was_done(tmp_path, source):
    before = sorted(tmp_path.rglob("*"))
    film = open_film(source)
    for target, message in (("in.mp4", "source itself"), ("a.avi", "films end in"), ("in.mp4/a.mp4", "cannot write")):
        with pytest.raises(UserError, match=message), open_segments(tmp_path / target, like=film):
            pass
    for name in ("out.mp4", "out"):
        with (
            pytest.raises(ValueError, match="has 2 frames, and 1"),
            open_segments(tmp_path / name, like=film) as store,
            store.segment(0, 2, KEY) as writer,
        ):
            writer.write(film.read([0])[0])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_whatever_ends_it_says_that_the_same_command_goes_on(tmp_path, source, failure):
    film = open_film(source)

    def ended(error):
        with open_segments(tmp_path / "out.mp4", like=film) as store:
            fill(store, film, spans()[:2])
            raise error

    with warnings.catch_warnings(record=True) as said, suppress(failure):
        warnings.simplefilter("always")
        ended(failure)
    assert str(said[-1].message).endswith("out.mp4 are done and kept: the same command goes on")
    with pytest.raises(UserError, match=r"unreadable; 8 frames .* the same command goes on") as told:
        ended(UserError("unreadable", code=2))
    assert told.value.code == 2
    assert not (tmp_path / "out.mp4").exists()


def test_segments_must_make_up_the_film(tmp_path, source):
    film = open_film(source)
    with open_segments(tmp_path / "out.mp4", like=film) as store:
        fill(store, film, spans())
        for segments in (
            [],
            spans()[1:],
            spans()[:-1],
            [*spans(), spans()[-1]],
            [spans()[1], spans()[0], *spans()[2:]],
        ):
            with pytest.raises(ValueError, match="do not make up frames 0 to 39"):
                store.join(segments)
        with pytest.raises(ValueError, match="letters"):
            store.has(0, 1, "../x")
    for span in ((0, 41), (-1, 3), (5, 5)):
        with pytest.raises(ValueError, match="no part"), open_segments(tmp_path / "b.mp4", like=film, span=span):
            pass


def test_an_output_is_made_by_one_job_or_by_several_that_share(tmp_path, source):
    film, target = open_film(source), tmp_path / "out.mp4"
    with open_segments(target, like=film) as store:
        with pytest.raises(UserError, match="another process is making"), open_segments(target, like=film):
            pass
        fill(store, film, spans(), 1)
    with open_segments(target, like=film, shared=True) as one, open_segments(target, like=film, shared=True) as other:
        segment = spans()[1]
        assert other.has(*spans()[0])
        with one.segment(*segment) as writer:
            with pytest.raises(TakenError, match="another process writes"), other.segment(*segment):
                pass
            for frame in film.read(range(*segment[:2])):
                writer.write(frame)
        assert other.has(*segment)
        with pytest.raises(TakenError, match="has just written"), other.segment(*segment):
            pass
        fill(other, film, spans(), 2)
        assert fill(one, film, spans()) == 2
        other.join(spans())
    assert len(open_film(target)) == 40
    assert hidden(tmp_path) == []


def test_of_processes_that_share_kept_segments_one_joins_them(tmp_path, source):
    film, target = open_film(source), tmp_path / "out.mp4"
    with open_segments(target, like=film, shared=True) as one, open_segments(target, like=film, shared=True) as other:
        fill(one, film, spans())
        assert one.join(spans(), remove=False) == target
        made = target.stat().st_ino
        assert other.join(spans(), remove=False) == target
        assert target.stat().st_ino == made
        target.unlink()
        other.join(spans(), remove=False)
        assert len(open_film(target)) == len(film)


def test_a_job_that_was_killed_after_its_end_leaves_nothing(tmp_path, source, monkeypatch):
    film, target = open_film(source), tmp_path / "out.mp4"
    monkeypatch.setattr("flowchroma.film.segments.work.Work.remove", lambda self: None)
    with open_segments(target, like=film) as store:
        fill(store, film, spans())
        store.join(spans())
    monkeypatch.undo()
    assert hidden(tmp_path) == [".out.mp4.flowchroma"]
    with pytest.raises(UserError, match="is there already"), open_segments(target, like=film):
        pass
    assert hidden(tmp_path) == []


def test_a_full_disk_keeps_what_is_done(tmp_path, source, monkeypatch):
    film = open_film(source)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def filled(name, where):
        with open_segments(tmp_path / name, like=film) as store:
            fill(store, film, spans(), 3 if name == "out" else None)
            monkeypatch.setattr(where, full)
            fill(store, film, spans())
            store.join(spans())

    for name, where in (("out", "flowchroma.film.outputs.write_png"), ("out.mp4", "flowchroma.film.outputs.mux")):
        with pytest.raises(UserError, match=r"No space left.*; [0-9]+ frames .* kept: once there is room, the same"):
            filled(name, where)
        monkeypatch.undo()
        segmented(source, tmp_path / name)
    assert hidden(tmp_path) == []
    assert [len(open_film(tmp_path / name)) for name in ("out", "out.mp4")] == [40, 40]


def test_room_is_asked_for(tmp_path, source, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9 - 10**4, 10**4))
    require_space(tmp_path / "not" / "there", 10**4)
    with pytest.raises(UserError, match=r"no room in .*: 3\.2 GB are needed and 10 KB are free; make room, or"):
        require_space(tmp_path / "not" / "there", 3_200_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1, 1, 0))
    film = begun(source, tmp_path / "out.mp4", only=None)
    with pytest.raises(UserError, match="no room in"), open_segments(tmp_path / "out.mp4", like=film) as store:
        store.join(spans())
    assert hidden(tmp_path) == [".out.mp4.flowchroma"]


def test_names_as_long_as_a_system_takes(tmp_path, source):
    made = segmented(source, tmp_path / ("x" * 250 + ".mp4"))
    assert len(made) == 40
    assert hidden(tmp_path) == []


MEMORY = """
import sys
import numpy as np
from flowchroma.film import open_film
from flowchroma.film.segments import open_segments


def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024


frames = open_film(sys.argv[1]).read(range(40))
with open_segments(sys.argv[2], like=open_film(sys.argv[1])) as store:
    for n in range(160):
        with store.segment(n % 40, n % 40 + 1, f"k{n // 40}") as writer:
            writer.write(frames[n % 40])
        if n == 20:
            before = resident()
    print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_segments(tmp_path, source):
    command = [sys.executable, "-c", MEMORY, str(source), str(tmp_path / "out.mp4")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10  # MB; an encoder that lives on takes half of one
