"""Work on segments goes on, whatever ended the process in between."""

import errno
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import open_film
from flowchroma.film.segments import TakenError, open_segments, require_space

from .segmented import KEY, fill, hidden, segmented, spans

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path, write_film, numbered):
    return write_film(tmp_path / "in.mp4", [numbered(n) for n in range(40)], sound={"aac": 1})


def begun(source, target, only=4, **options):
    """Work that an error ended after some segments."""

    class EndedError(Exception):
        pass

    film = open_film(source)
    with suppress(EndedError), open_segments(target, like=film, **options) as store:
        fill(store, film, spans(), only)
        raise EndedError
    return film


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_all(folder):
    """Each segment in another way; how many."""
    segments = sorted((folder / "segments").iterdir())
    name = "picture.h264"
    os.truncate(segments[0] / name, 100)
    flip(segments[1] / name)
    os.truncate(segments[2] / "picture.rows", 0)
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
