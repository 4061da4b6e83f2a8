import pickle
from fractions import Fraction
from multiprocessing import get_context

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from flowchroma.errors import UserError
from flowchroma.film import VideoFile, open_film

KINDS = {
    "long groups with B frames": ("film.mp4", 120, {"g": "250", "bf": "3", "sc_threshold": "0"}),
    "groups of 12": ("film.mp4", 60, {"g": "12", "bf": "2"}),
    "open groups": ("film.mp4", 60, {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0"}),
    "keys only": ("film.mov", 12, {"g": "1"}),
    "matroska": ("film.mkv", 60, {"g": "12", "bf": "2"}),
    "broadcast": ("film.ts", 60, {"g": "12", "bf": "2"}),
    "avi with B frames": ("film.avi", 40, {"codec": "mpeg4", "g": "12", "bf": "2"}),
    "mpeg 2": ("film.mpg", 40, {"codec": "mpeg2video", "g": "12", "bf": "2"}),
    "hidden frames": ("film.webm", 60, {"codec": "libvpx", "auto-alt-ref": "1", "lag-in-frames": "16", "g": "30"}),
    "vp9": ("film.webm", 40, {"codec": "libvpx-vp9", "cpu-used": "8", "lag-in-frames": "16", "g": "15"}),
    "motion jpeg": ("film.avi", 20, {"codec": "mjpeg", "pix_fmt": "yuvj420p", "full": True}),
    "one frame": ("film.mp4", 1, {}),
}


@pytest.fixture(params=KINDS)
def kind(request, tmp_path, write_film, numbered):
    name, count, options = KINDS[request.param]
    return write_film(tmp_path / name, [numbered(n) for n in range(count)], **options), count


def test_every_frame_is_found_where_sequential_decoding_has_it(kind, number_of):
    path, count = kind
    film = VideoFile(path)
    assert len(film) == count
    assert film.size == (64, 96)
    in_order = list(film)
    assert [number_of(f) for f in in_order] == list(range(count))
    order = [*np.random.default_rng(0).permutation(count), count - 1, 0, 0, count - 1]
    for chunk in np.array_split(order, len(order) // 5 + 1):
        for index, frame in zip(chunk, film.read(list(chunk)), strict=True):
            np.testing.assert_array_equal(frame, in_order[index])
    for index in reversed(range(0, count, 5)):
        np.testing.assert_array_equal(film.read([index])[0], in_order[index])


def test_read_keeps_the_order_asked_for(tmp_path, write_film, numbered, number_of):
    film = open_film(write_film(tmp_path / "a.mp4", [numbered(n) for n in range(30)], g="12"))
    assert [number_of(f) for f in film.read([20, 3, 3, 29, 0])] == [20, 3, 3, 29, 0]
    assert film.read([]) == []


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_no_such_frame(tmp_path, write_film, numbered, index):
    film = open_film(write_film(tmp_path / "a.mp4", [numbered(n) for n in range(5)]))
    with pytest.raises(UserError, match="0 to 4"):
        film.read([index])


def test_two_readers_of_one_film_do_not_disturb_each_other(tmp_path, write_film, numbered, number_of):
    film = open_film(write_film(tmp_path / "a.mp4", [numbered(n) for n in range(40)], g="12"))
    seen = []
    for frame, again in zip(film, film, strict=True):
        seen.append((number_of(frame), number_of(again), number_of(film.read([39 - len(seen)])[0])))
    assert seen == [(n, n, 39 - n) for n in range(40)]


def test_workers_open_the_film_anew(tmp_path, write_film, numbered, number_of):
    film = open_film(write_film(tmp_path / "a.mp4", [numbered(n) for n in range(40)], g="12"))
    film.read([10])
    copy = pickle.loads(pickle.dumps(film))
    assert [number_of(f) for f in copy.read([30, 5])] == [30, 5]
    parent, child = get_context("fork").Pipe()

    def work():
        child.send([number_of(f) for n in range(11, 30) for f in film.read([n])])

    process = get_context("fork").Process(target=work)
    process.start()
    mine = [number_of(f) for n in range(11, 30) for f in film.read([n])]
    assert parent.poll(20)
    assert parent.recv() == mine == list(range(11, 30))
    process.join()


def test_first_frame_need_not_be_at_time_zero(tmp_path, write_film, numbered, number_of):
    times = [90000 + 3600 * n for n in range(30)]
    path = write_film(
        tmp_path / "a.mkv", [numbered(n) for n in range(30)], times=times, time_base=Fraction(1, 90000), g="12", bf="2"
    )
    film = open_film(path)
    assert len(film) == 30
    assert [number_of(f) for f in film.read([29, 0, 13])] == [29, 0, 13]
    assert film.times[1][0] * film.times[0] == 1


def test_frames_before_an_edit_list_are_not_shown(tmp_path, write_film, numbered, number_of):
    whole = write_film(tmp_path / "whole.mp4", [numbered(n) for n in range(40)], g="12", bf="2")
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts -= round(Fraction(5, 25) / packet.time_base)
                packet.dts -= round(Fraction(5, 25) / packet.time_base)
                packet.stream = copy
                output.mux(packet)
    film = open_film(cut)
    assert len(film) == 35
    assert [number_of(f) for f in film] == list(range(5, 40))
    assert [number_of(f) for f in film.read([34, 0, 9])] == [39, 5, 14]


COLOURS = np.array(
    [
        [230, 30, 30],
        [30, 200, 40],
        [40, 60, 220],
        [240, 220, 40],
        [128, 128, 128],
        [250, 250, 250],
        [5, 5, 5],
        [200, 90, 160],
    ],
    np.uint8,
)


@pytest.mark.parametrize(
    ("matrix", "tag", "full", "height", "pix_fmt"),
    [
        (Colorspace.ITU709, 1, False, 96, "yuv420p"),
        (Colorspace.ITU601, 6, False, 96, "yuv420p"),
        (Colorspace.ITU601, 5, True, 96, "yuv420p"),
        (Colorspace.ITU709, 1, True, 96, "yuv444p"),
        (Colorspace.ITU601, None, False, 96, "yuv420p"),
        (Colorspace.ITU709, None, False, 720, "yuv420p"),
        (Colorspace.ITU601, 6, False, 720, "yuv420p"),
        (Colorspace.ITU709, 1, False, 96, "yuv420p10le"),
    ],
)
def test_colours_are_those_of_the_stream_s_own_matrix_and_range(
    tmp_path, write_film, matrix, tag, full, height, pix_fmt
):
    rgb = COLOURS[None].repeat(32, 1).repeat(height, 0)
    path = write_film(tmp_path / "a.mp4", [rgb] * 3, matrix=matrix, tag=tag, full=full, pix_fmt=pix_fmt, crf="1")
    frame = open_film(path).read([1])[0]
    assert np.abs(frame[height // 2, 16::32].astype(int) - COLOURS).max() <= 5


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotated_phone_film_comes_upright(tmp_path, write_film, rotation):
    rgb = np.full((64, 96, 3), 60, np.uint8)
    rgb[:32, :48] = 220  # top left
    film = open_film(write_film(tmp_path / "a.mp4", [rgb] * 3, rotation=rotation))
    frame = film.read([1])[0]
    expected = np.rot90(rgb, rotation // 90)
    assert film.size == frame.shape[:2] == expected.shape[:2]
    assert np.abs(frame.astype(int) - expected).mean() < 6


@pytest.mark.filterwarnings("ignore:.*cut off.*")
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_film_cut_off_in_the_middle_is_read_as_far_as_it_goes(tmp_path, write_film, numbered, number_of, name):
    noise = np.random.default_rng(0)
    frames = [np.maximum(numbered(n), noise.integers(0, 20, (64, 96, 3), dtype=np.uint8)) for n in range(60)]
    options = {"container": {"movflags": "+faststart"}} if name == "a.mp4" else {}
    path = write_film(tmp_path / name, frames, g="12", bf="2", **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    film = open_film(path)
    if name == "a.mp4":  # Matroska does not say how much there was
        with pytest.warns(UserWarning, match=r"a\.mp4 is damaged or cut off"):
            len(film)
    assert 20 < len(film) < 55
    numbers = [number_of(f) for f in film]
    assert len(numbers) == len(film)
    assert numbers[:20] == list(range(20))
    assert [number_of(f) for f in film.read([15, len(film) - 1])] == [15, numbers[-1]]


def test_what_is_no_film_is_refused_by_name(tmp_path, write_film, numbered):
    whole = write_film(tmp_path / "whole.mp4", [numbered(n) for n in range(20)])
    broken = {
        "empty.mp4": b"",
        "text.mp4": b"This is no film at all.\n" * 40,
        "text.txt": b"This is no film at all.\n" * 40,
        "headless.mp4": whole.read_bytes()[:2000],
        "noise.mkv": np.random.default_rng(0).bytes(5000),
        "picture.png": None,
        "sound.wav": None,
    }
    import cv2

    cv2.imwrite(str(tmp_path / "picture.png"), numbered(1))
    with av.open(str(tmp_path / "sound.wav"), "w") as output:
        track = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        tone.rate = 8000
        output.mux(track.encode(tone))
    for name, data in broken.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=name) as caught:
            open_film(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_missing_film_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.mp4"):
        open_film(tmp_path / "nowhere.mp4")


@pytest.mark.parametrize("seed", range(6))
def test_damage_in_the_middle_gives_frames_or_one_clear_line(tmp_path, write_film, numbered, seed):
    path = write_film(tmp_path / "hurt.mp4", [numbered(n) for n in range(40)], g="12", bf="2")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for at in rng.integers(len(data) // 5, len(data) * 3 // 5, 200):
        data[at] = rng.integers(256)
    path.write_bytes(data)
    try:
        film = open_film(path)
        frames = list(film)
        assert len(frames) == len(film)
    except UserError as error:
        message = str(error)
        assert "hurt.mp4" in message
        assert "\n" not in message


def test_real_film(shared):
    film = open_film(shared / "data/videvo/dog.mp4")
    assert (film.size, len(film), film.rate) == ((360, 640), 150, Fraction(30000, 1001))
    with av.open(str(film.path)) as source:
        for index, (mine, theirs) in enumerate(zip(film, source.decode(video=0), strict=True)):
            if index % 30 == 7:
                reference = theirs.to_ndarray(format="rgb24")
                assert np.abs(mine.astype(int) - reference).mean() < 3
                np.testing.assert_array_equal(film.read([index])[0], mine)
