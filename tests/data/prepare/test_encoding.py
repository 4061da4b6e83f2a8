from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from flowchroma.data import Films
from flowchroma.data.prepare.encoding import encode
from flowchroma.errors import UserError
from flowchroma.film import VideoFile, open_film


def picture(number):
    y, x = np.mgrid[0:48, 0:64]
    return np.stack((3 * x, 4 * y, np.full_like(x, 5 * number % 256)), axis=-1).astype(np.uint8)


def write(path, count, gop, times=None, rate=25):
    """An mp4 of slow change; times in thousandths of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"g": str(gop), "x264-params": "scenecut=0"})
        stream.width, stream.height = 64, 48
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def gaps(film):
    return [after - key for key, after in pairwise([*film.index.keys, len(film)])]


def test_frames_times_and_size_stay_and_keys_come_closer(tmp_path):
    times = [0, 40, 90, 130, 210, 250, *range(290, 290 + 40 * 54, 40)]
    original = VideoFile(write(tmp_path / "films/in/a.mp4", 60, 250, times))
    assert max(gaps(original)) == 60
    done = encode(Films(tmp_path / "films").films("train"), tmp_path / "out", gop=12, crf=10)
    assert (done.encoded, done.problems) == (1, [])
    made = VideoFile(tmp_path / "out/in/a.mp4")
    assert max(gaps(made)) <= 12
    assert (len(made), made.size) == (60, (48, 64))
    base, at, last = made.times
    assert [round(float(1000 * base * (time - at[0]))) for time in at] == times
    assert float(base * last) == pytest.approx(0.04, abs=1e-3)
    for one, other in zip(original, made, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 2


def test_close_keys_are_copied_and_folders_need_nothing(tmp_path, write_frames):
    close = write(tmp_path / "films/close.mov", 30, 6)
    write_frames(tmp_path / "films/frames", 3)
    films = Films(tmp_path / "films")
    done = encode([*films.films("train"), *films.films("val")], tmp_path / "out")
    assert (done.encoded, done.copied, done.folders) == (0, 1, 1)
    assert (tmp_path / "out/close.mov").read_bytes() == close.read_bytes()


def test_encoding_again_does_nothing(tmp_path):
    write(tmp_path / "films/a.mp4", 30, 250)
    films = Films(tmp_path / "films").films("train")
    encode(films, tmp_path / "out")
    before = (tmp_path / "out/a.mp4").stat().st_mtime_ns
    assert encode(films, tmp_path / "out").present == 1
    assert (tmp_path / "out/a.mp4").stat().st_mtime_ns == before


def test_bad_films_are_named_and_the_others_encoded(tmp_path):
    write(tmp_path / "films/a.mp4", 30, 250)
    (tmp_path / "films/b.mp4").write_text("no film")
    films = Films(tmp_path / "films")
    done = encode([*films.films("train"), *films.films("val")], tmp_path / "out")
    assert done.encoded == 1
    (line,) = done.problems
    assert f"{tmp_path}/films/b.mp4" in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4"]


@pytest.mark.filterwarnings("ignore:.*encoding it to AAC.*")
def test_films_with_plain_sound_and_without_times_are_encoded_as_well(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    with av.open(str(folder / "tape.mkv"), "w") as out:
        stream, track = out.add_stream("libx264", rate=25), out.add_stream("pcm_s16le", rate=8000, layout="mono")
        stream.width, stream.height = 64, 48
        for index in range(30):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
        out.mux(stream.encode(None))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="mono")
        tone.rate, tone.pts = 8000, 0
        out.mux([*track.encode(tone), *track.encode(None)])
    (folder / "tape.mkv").rename(folder / "tape.m4v")  # becomes .mp4, which takes no plain sound
    camera = {"x264-params": "b-adapt=0:scenecut=0:keyint=99:bframes=2"}
    for name in ("camera.avi", "z.h264"):
        with av.open(str(folder / name), "w") as out:
            stream = out.add_stream("libx264", rate=25, options=camera)
            stream.width, stream.height = 64, 48
            for index in range(30):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
            out.mux(stream.encode(None))
    films = [open_film(path) for path in sorted(folder.iterdir())]
    done = encode(films, tmp_path / "out")
    assert (done.encoded, done.problems) == (3, [])
    assert [len(VideoFile(path)) for path in sorted((tmp_path / "out").iterdir())] == [30, 30, 30]


def test_a_film_that_cannot_be_written_costs_no_other(tmp_path, monkeypatch):
    for name in ("a", "b"):
        write(tmp_path / f"films/{name}.mp4", 30, 250)
    from flowchroma.film import outputs

    def fails(self):
        if self._like.name == "a":
            raise av.error.ArgumentError(22, "Invalid argument")
        return finish(self)

    finish = outputs.VideoWriter.finish
    monkeypatch.setattr(outputs.VideoWriter, "finish", fails)
    done = encode([open_film(tmp_path / f"films/{name}.mp4") for name in ("a", "b")], tmp_path / "out")
    assert done.encoded == 1
    assert "Invalid argument" in done.problems[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.mp4"]


def test_a_full_disk_names_the_film_and_leaves_no_half_of_it(tmp_path, monkeypatch):
    write(tmp_path / "films/a.mp4", 30, 250)
    from flowchroma.film.outputs import VideoWriter

    def full(self, rgb):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "write", full)
    with pytest.raises(UserError, match=rf"cannot write {tmp_path}/out/a.mp4: No space left on device"):
        encode(Films(tmp_path / "films").films("train"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_gop_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="gop must be a number of frames from 1 on, not 0"):
        encode([], tmp_path, gop=0)
