"""Films as they are found: joined, without times, scratched, of several sizes."""

from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import HeldFilm, open_film


def seconds(film):
    base, times, _ = film.times
    return np.array([float(time * base) for time in times])


def joined(path, write_film, parts, kind, **options):
    data = b""
    for at, frames in enumerate(parts):
        part = write_film(path.parent / f"part{at}.{kind}", frames, **options)
        data += part.read_bytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("lengths", [(12, 24), (24, 12), (10, 10, 10), (6, 40)])
@pytest.mark.parametrize(("kind", "options"), [
    ("ts", {"g": "6", "bf": "2"}),
    ("ts", {"g": "6", "bf": "0", "sound": {"aac": 1}}),
    ("mpg", {"codec": "mpeg2video", "g": "6", "sound": {"mp2": 1}}),
])  # fmt: skip
def test_times_go_on_over_a_joint(tmp_path, write_film, numbered, number_of, lengths, kind, options):
    starts = np.cumsum([0, *lengths])
    parts = [[numbered(n) for n in range(a, b)] for a, b in pairwise(starts)]
    film = open_film(joined(tmp_path / f"film.{kind}", write_film, parts, kind, **options))
    assert [number_of(frame) for frame in film] == list(range(sum(lengths)))
    gaps = np.diff(seconds(film))
    assert gaps.min() > 0.02
    assert gaps.max() < 0.1
    assert np.median(gaps) == pytest.approx(0.04, abs=1e-3)
    assert [number_of(frame) for frame in film.read([sum(lengths) - 1, 1])] == [sum(lengths) - 1, 1]
    assert len(film.notes) == 1


def test_a_clock_that_jumps_hours_ahead_goes_on_as_well(tmp_path, write_film, numbered):
    one = write_film(tmp_path / "a.ts", [numbered(n) for n in range(10)], bf="0")
    times = [90000 * 7200 + 3600 * n for n in range(10)]
    from fractions import Fraction

    other = write_film(
        tmp_path / "b.ts", [numbered(n) for n in range(10)], bf="0", times=times, time_base=Fraction(1, 90000)
    )
    (tmp_path / "film.ts").write_bytes(one.read_bytes() + other.read_bytes())
    assert np.diff(seconds(open_film(tmp_path / "film.ts"))).max() < 0.1


def copied(source, target, change):
    with av.open(str(source)) as film, av.open(str(target), "w") as output:
        stream = film.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for packet in film.demux(stream):
            if packet.size:
                change(packet)
                packet.stream = copy
                output.mux(packet)
    return target


def in_order_of_decoding(packet):
    packet.pts = packet.dts = packet.dts + round(1 / packet.time_base)


@pytest.mark.parametrize(("name", "change"), [
    ("camera.mkv", in_order_of_decoding),
    ("camera.mp4", in_order_of_decoding),
    ("camera.avi", None),
    ("raw.h264", None),
])  # fmt: skip
def test_frames_without_times_that_rise_are_counted(tmp_path, write_film, numbered, number_of, name, change):
    source = tmp_path / ("whole.mp4" if change else name)
    write_film(
        source, [numbered(n) for n in range(40)], rate=24, bf="3", **{"x264-params": "b-adapt=0:scenecut=0:keyint=12"}
    )
    film = open_film(copied(source, tmp_path / name, change) if change else source)
    assert [number_of(frame) for frame in film] == list(range(40))
    assert [number_of(frame) for frame in film.read([39, 5, 17])] == [39, 5, 17]
    assert np.diff(seconds(film)) == pytest.approx(1 / 24, abs=2e-3)
    assert any("counted" in line for line in film.notes)


def mjpeg(write_film, path, numbered, count=24):
    return write_film(path, [numbered(n) for n in range(count)], codec="mjpeg", pix_fmt="yuvj420p", full=True)


def wipe(path, *numbers):
    """Make some JPEGs within a film rubbish."""
    data, at, starts = bytearray(path.read_bytes()), -1, []
    while (at := data.find(b"\xff\xd8\xff", at + 1)) >= 0:
        starts.append(at)
    for number in numbers:
        end = data.find(b"\xff\xd9", starts[number])
        data[starts[number] : end] = bytes(end - starts[number])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["film.avi", "film.mov", "film.mkv"])
@pytest.mark.parametrize("bad", [[5], [0], [0, 1, 9], [23], [3, 4, 5, 6, 7, 8, 9]])
def test_a_frame_that_does_not_decode_is_held_over(tmp_path, write_film, numbered, number_of, name, bad):
    film = open_film(wipe(mjpeg(write_film, tmp_path / name, numbered), *bad))
    assert len(film) == 24
    held = HeldFilm(film)
    with pytest.warns(UserWarning, match=f"frame {bad[0]} of .*{name}") as said:
        numbers = [number_of(frame) for frame in held]
    expected, last = [], next(n for n in range(24) if n not in bad)
    for n in range(24):
        last = n if n not in bad else last
        expected.append(last)
    assert numbers == expected
    assert held.held == bad
    assert len(said) <= 5
    assert f"{len(bad)} of 24 frames" in held.summary()
    with pytest.raises(UserError, match=f"frame {bad[0]} of"):
        list(HeldFilm(film, strict=True))
    with pytest.raises(UserError, match=f"frame {bad[0]} of"):
        list(film)
    for n in (2, 12, 22):  # whole ones are found at random
        if n not in bad:
            assert number_of(film.read([n])[0]) == n


def test_a_scratch_in_h264_costs_no_more_than_its_frames(tmp_path, write_film, numbered, number_of):
    path = write_film(tmp_path / "film.mp4", [numbered(n) for n in range(40)], g="10", bf="0")
    data = bytearray(path.read_bytes())
    middle = data.find(b"mdat") + (data.find(b"moov", 100) - data.find(b"mdat")) // 2
    data[middle : middle + 900] = np.random.default_rng(0).bytes(900)
    path.write_bytes(data)
    held = HeldFilm(open_film(path))
    with pytest.warns(UserWarning, match="damaged"):
        numbers = [number_of(frame) for frame in held]
    assert len(numbers) == 40
    assert held.held or held.mended
    assert "of 40 frames" in held.summary()
    with pytest.raises(UserError, match="damaged"):
        list(HeldFilm(open_film(path), strict=True))
    assert numbers[:15] == list(range(15))
    assert numbers[35:] == list(range(35, 40))


@pytest.mark.parametrize(("first", "second"), [((64, 96), (48, 72)), ((64, 96), (96, 96)), ((32, 48), (64, 96))])
def test_a_broadcast_that_changes_size_is_fitted_into_its_first(tmp_path, write_film, numbered, first, second):
    parts = [[numbered(n, size) for n in range(6)] for size in (first, second)]
    film = open_film(joined(tmp_path / "film.ts", write_film, parts, "ts", g="6", bf="0"))
    frames = list(HeldFilm(film))
    assert [frame.shape[:2] for frame in frames] == [first] * 12
    assert any("6 of 12 frames" in line and "another size" in line for line in film.notes)
    if first[0] * second[1] == first[1] * second[0]:
        small = cv2.resize(numbered(3, second), first[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(frames[9].astype(int) - small).mean() < 12


def scans(folder, count=8, suffix="png"):
    folder.mkdir()
    for n in range(count):
        assert cv2.imwrite(str(folder / f"s{n:03}.{suffix}"), np.full((40, 60, 3), 10 * n, np.uint8))
    return folder


def test_scans_that_are_cut_missing_or_of_another_size(tmp_path):
    folder = scans(tmp_path / "scans")
    cv2.imwrite(str(folder / "s005.png"), np.full((39, 60, 3), 50, np.uint8))
    (folder / "s003.png").write_bytes((folder / "s003.png").read_bytes()[:60])
    (folder / "s006.png").write_bytes(b"")
    (folder / "s001.png").unlink()
    film = open_film(folder)
    said = " | ".join(film.notes)
    assert "lacks 1 of its frames, the first being number 001" in said
    assert "s005.png of" in said
    assert "differs in size" in said
    assert "s003.png and 1 more of" in said
    held = HeldFilm(film)
    with pytest.warns(UserWarning, match="held over"):
        frames = list(held)
    assert [frame.shape for frame in frames] == [(40, 60, 3)] * 7
    assert [int(frame[20, 30, 0]) for frame in frames] == [0, 20, 20, 40, 50, 50, 70]
    assert held.held == [2, 5]


def test_the_first_scan_may_be_the_bad_one_but_not_all(tmp_path):
    folder = scans(tmp_path / "scans", 3, "jpg")
    (folder / "s000.jpg").write_bytes(b"\xff\xd8")
    with pytest.warns(UserWarning, match="s000"):
        assert [int(frame[0, 0, 0]) // 10 for frame in HeldFilm(open_film(folder))] == [1, 1, 2]
    for file in folder.iterdir():
        file.write_bytes(b"")
    with pytest.raises(UserError, match="s000"):
        _ = open_film(folder).size


@pytest.mark.parametrize(("names", "missing"), [
    (["1.png", "2.png", "5.png"], "lacks 2 .* number 3"),
    (["shot 2 take 1.9.png", "shot 2 take 1.10.png", "shot 2 take 1.12.png"], "lacks 1 .* number 11"),
    (["a.png", "b.png"], None),
    (["scene1_3.png", "scene2_7.png"], None),
    (["7.png", "8.png"], None),
    (["19230101.png", "19450508.png"], None),
])  # fmt: skip
def test_numbers_that_are_missing_are_told(tmp_path, names, missing):
    for name in names:
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    notes = open_film(tmp_path).notes
    assert len(notes) == (missing is not None)
    if missing:
        import re

        assert re.search(missing, notes[0])


def test_a_film_that_changes_size_unseen_is_fitted_and_told(tmp_path, write_film, numbered):
    one, other = (write_film(tmp_path / f"{n}.mkv", [numbered(m, s) for m in range(6)], codec="mjpeg",
                             pix_fmt="yuvj420p", full=True) for n, s in enumerate(((64, 96), (48, 72))))  # fmt: skip
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = None
        for at, path in enumerate((one, other)):
            with av.open(str(path)) as source:
                stream = stream or output.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = packet.pts + 240 * at
                        packet.stream = stream
                        output.mux(packet)
    with pytest.warns(UserWarning, match="changes size at frame 6"):
        frames = list(HeldFilm(open_film(tmp_path / "in.mkv")))
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 12
