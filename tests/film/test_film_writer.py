from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import open_film, open_writer


def smooth(size, shift=0):
    y, x = np.mgrid[: size[0], : size[1]]
    red = 60 + 150 * np.sin((x + shift) / 40) ** 2
    green = 60 + 150 * np.cos(y / 50) ** 2
    blue = 60 + 150 * np.sin((x + y) / 70) ** 2
    return np.stack((red, green, blue), -1).astype(np.uint8)


def copy(source, target, **options):
    film = open_film(source)
    with open_writer(target, like=film, **options) as writer:
        for frame in film:
            writer.write(frame)
    return film, open_film(target)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("size", [(96, 160), (160, 90), (97, 161), (96, 161), (97, 160), (31, 15)])
def test_size_and_colours_survive(tmp_path, name, size):
    frames = [smooth(size, 3 * n) for n in range(6)]
    with open_writer(tmp_path / name) as writer:
        for frame in frames:
            writer.write(frame)
    film = open_film(tmp_path / name)
    assert (film.size, len(film), film.rate) == (size, 6, 25)
    for index in (0, 3, 5):
        difference = np.abs(film.read([index])[0].astype(int) - frames[index])
        assert difference.mean() < 2.5
        assert np.percentile(difference, 99) <= 9


def test_colours_are_tagged_and_right_for_a_reader_that_knows_only_the_tags(tmp_path):
    patches = np.array([[220, 40, 40], [40, 190, 60], [50, 60, 210], [200, 200, 60]], np.uint8)
    rgb = patches[None].repeat(32, 1).repeat(64, 0)
    with open_writer(tmp_path / "a.mp4", crf=1) as writer:
        for _ in range(3):
            writer.write(rgb)
    with av.open(str(tmp_path / "a.mp4")) as source:
        frame = next(source.decode(video=0))
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1)
        assert (frame.color_primaries, frame.color_trc) == (1, 1)
        y, u, v = (np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width].astype(float) for p in frame.planes)
    # Rec. ITU-R BT.709-6, items 3.2 to 3.4, with 8-bit limited-range quantisation.
    r, g, b = (patches[:, c] / 255 for c in range(3))
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    np.testing.assert_allclose(y[32, 16::32], 16 + 219 * luma, atol=2)
    np.testing.assert_allclose(u[16, 8::16], 128 + 224 * (b - luma) / 1.8556, atol=2)
    np.testing.assert_allclose(v[16, 8::16], 128 + 224 * (r - luma) / 1.5748, atol=2)


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25), Fraction(60), Fraction(15)]
)
@pytest.mark.parametrize("names", [("in.mp4", "out.mp4"), ("in.mkv", "out.mkv"), ("in.mp4", "out.mkv")])
def test_frame_rate_is_kept(tmp_path, write_film, numbered, number_of, rate, names):
    source = write_film(tmp_path / names[0], [numbered(n) for n in range(24)], rate=rate, bf="2")
    film, made = copy(source, tmp_path / names[1])
    assert made.rate == film.rate
    if names[0] == "in.mp4":
        assert film.rate == rate
    assert [number_of(f) for f in made] == list(range(24))
    with av.open(str(made.path)) as one, av.open(str(film.path)) as other:
        assert abs(one.duration - other.duration) <= 2000  # microseconds; Matroska counts in milliseconds


def seconds(film):
    base, times, _ = film.times
    return [float(t * base) for t in times]


@pytest.mark.parametrize("names", [("in.mp4", "out.mp4"), ("in.mkv", "out.mkv"), ("in.mkv", "out.mp4")])
def test_variable_frame_times_are_kept(tmp_path, write_film, numbered, names):
    times = list(np.cumsum(np.random.default_rng(0).integers(20, 200, 40)))
    source = write_film(
        tmp_path / names[0],
        [numbered(n) for n in range(40)],
        times=[int(t) for t in times],
        time_base=Fraction(1, 1000),
    )
    film, made = copy(source, tmp_path / names[1])
    np.testing.assert_allclose(seconds(made), seconds(film), atol=1e-6)
    assert times[3] - times[2] == round(1000 * (seconds(made)[3] - seconds(made)[2]))


SOUNDS = [
    ("in.mp4", {"aac": 1}, "out.mp4"),
    ("in.mp4", {"aac": 2}, "out.mkv"),
    ("in.mkv", {"libmp3lame": 1, "aac": 1}, "out.mp4"),
    ("in.mkv", {"pcm_s16le": 1}, "out.mkv"),
    ("in.ts", {"aac": 1}, "out.mp4"),
    ("in.mkv", {"libmp3lame": 1}, "out.mov"),
]


@pytest.mark.parametrize(("name", "sound", "out"), SOUNDS)
def test_sound_is_copied_packet_by_packet(tmp_path, write_film, numbered, sound_of, name, sound, out):
    source = write_film(tmp_path / name, [numbered(n) for n in range(50)], sound=sound)
    _, made = copy(source, tmp_path / out)
    before, after = sound_of(source), sound_of(made.path)
    assert len(after) == sum(sound.values())
    strip = 7 if name == "in.ts" else 0  # the ADTS header, which transport streams put before each packet
    for old, new in zip(before, after, strict=True):
        assert [data[strip:] for _, data in old] == [data for _, data in new]


@pytest.mark.parametrize("start", [0.0, 0.4])
@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.ts"])
def test_sound_stays_in_step_with_the_picture(tmp_path, write_film, numbered, sound_of, name, start):
    source = write_film(tmp_path / name, [numbered(n) for n in range(50)], sound={"aac": 1}, sound_start=start, bf="2")
    film, made = copy(source, tmp_path / "out.mp4")
    before = sound_of(source)[0][5][0] - seconds(film)[0]
    after = sound_of(made.path)[0][5][0] - seconds(made)[0]
    assert after == pytest.approx(before, abs=2e-3)
    assert seconds(made)[0] < 0.1 + (0 if name == "in.ts" else seconds(film)[0])


@pytest.mark.parametrize(("name", "sound", "start"), [("in.avi", "pcm_mulaw", 0.0), ("in.mkv", "wavpack", 0.4)])
def test_sound_that_the_container_cannot_hold_becomes_aac_and_says_so(
    tmp_path, write_film, numbered, name, sound, start
):
    source = write_film(
        tmp_path / name,
        [numbered(n) for n in range(50)],
        codec="mpeg4",
        sound={sound: 1},
        sound_start=start,
    )
    with pytest.warns(UserWarning, match=f"{sound} .* AAC"):
        copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.streams.audio[0].codec_context.name == "aac"
        pieces = list(made.decode(audio=0))
    assert pieces[0].time == pytest.approx(start, abs=0.03)  # an AAC frame lasts 23 ms
    wave = np.concatenate([piece.to_ndarray()[0] for piece in pieces])
    assert abs(len(wave) / 44100 - 2) < 0.1
    middle = np.abs(np.fft.rfft(wave[20000 : 20000 + 44100]))
    assert abs(int(middle.argmax()) - round(0.06 * 44100 / (2 * np.pi))) <= 2  # the tone itself


def test_pixel_shape_is_kept(tmp_path, numbered):
    with av.open(str(tmp_path / "in.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 15)
        for n in range(5):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(n), format="rgb24")))
        output.mux(stream.encode(None))
    copy(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


def test_rotated_film_is_written_upright(tmp_path, write_film, numbered):
    film, made = copy(write_film(tmp_path / "in.mp4", [numbered(1)] * 3, rotation=90), tmp_path / "out.mp4")
    assert made.size == film.size == (96, 64)
    assert np.abs(made.read([0])[0].astype(int) - film.read([0])[0]).mean() < 3


def save_frames(folder, names, size=(20, 30)):
    folder.mkdir()
    for at, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((*size, 3), 10 * at, np.uint8))
    return folder


def test_folder_keeps_frames_exactly_and_their_names(tmp_path):
    source = save_frames(tmp_path / "in", ["shot_2.png", "shot_10.png", "shot_1.png"])
    film, made = copy(source, tmp_path / "deep" / "out")
    assert [f.name for f in made.files] == ["shot_1.png", "shot_2.png", "shot_10.png"]
    for one, other in zip(film, made, strict=True):
        np.testing.assert_array_equal(one, other)


def test_folder_numbers_frames_of_a_film_and_of_ambiguous_names(tmp_path, write_film, numbered):
    _, made = copy(write_film(tmp_path / "in.mp4", [numbered(n) for n in range(3)]), str(tmp_path / "v1.2") + "/")
    assert [f.name for f in made.files] == ["00000.png", "00001.png", "00002.png"]
    _, made = copy(save_frames(tmp_path / "in", ["1.png", "1.bmp", "2.png"]), tmp_path / "out")
    assert [f.name for f in made.files] == ["00000.png", "00001.png", "00002.png"]


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(25, 25), (23.976, Fraction(24000, 1001)), ("30000/1001", Fraction(30000, 1001)), (12.5, Fraction(25, 2))],
)
def test_folder_to_film_takes_the_rate_given(tmp_path, fps, rate):
    _, made = copy(save_frames(tmp_path / "in", [f"{n}.png" for n in range(10)]), tmp_path / "out.mp4", fps=fps)
    assert (made.rate, len(made)) == (rate, 10)


@pytest.mark.parametrize("fps", [0, -5, "fast", "1/0", "nan"])
def test_a_rate_that_is_none_is_refused(tmp_path, fps):
    with pytest.raises(UserError, match="fps"), open_writer(tmp_path / "out.mp4", fps=fps):
        pass


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out"])
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("frames", [0, 1, 30])
def test_interrupted_writing_leaves_what_was_there(tmp_path, write_film, numbered, name, failure, frames):
    film = open_film(write_film(tmp_path / "in.mp4", [numbered(n) for n in range(30)], sound={"aac": 1}))
    if name != "out":
        (tmp_path / name).write_bytes(b"an older film")
    before = sorted(tmp_path.rglob("*"))

    def fail():
        with open_writer(tmp_path / name, like=film, overwrite=True) as writer:
            for frame in film.read(range(frames)):
                writer.write(frame)
            raise failure

    with pytest.raises(failure):
        fail()
    assert sorted(tmp_path.rglob("*")) == before
    if name != "out":
        assert (tmp_path / name).read_bytes() == b"an older film"


def test_an_older_film_is_replaced_by_a_whole_one_only(tmp_path, numbered):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"an older film")
    with pytest.raises(UserError, match="overwrite=true"), open_writer(target) as writer:
        pass
    with open_writer(target, overwrite=True) as writer:
        writer.write(numbered(1))
        assert target.read_bytes() == b"an older film"
    assert len(open_film(target)) == 1


def test_outputs_that_would_destroy_something_are_refused(tmp_path, write_film, numbered):
    film = open_film(write_film(tmp_path / "in.mp4", [numbered(0)]))
    frames = open_film(save_frames(tmp_path / "frames", ["0.png"]))
    (tmp_path / "plain").write_text("a file without suffix")
    (tmp_path / "dir.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "in.mp4")
    refused = [
        (film, "in.mp4", "source itself"),
        (film, "link.mp4", "source itself"),
        (frames, "frames", "source itself"),
        (film, "frames", "another name"),
        (film, "plain", "another name"),
        (film, "dir.mp4", "another one"),
        (film, "out.avi", r"\.mp4, \.mov, \.mkv"),
        (film, "plain/out.mp4", "cannot write"),
    ]
    before = sorted(tmp_path.rglob("*"))
    for like, name, message in refused:
        with pytest.raises(UserError, match=message), open_writer(tmp_path / name, like=like):
            pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_one_clear_line(tmp_path, numbered, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flowchroma.film.outputs.write_png", full)
    with pytest.raises(UserError, match="No space left"), open_writer(tmp_path / "out") as writer:
        writer.write(numbered(0))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    ["a (1923), part 1 = [x].mp4", "ünïcode 映画.mkv", "50%d 'quoted' \"x\".mov", "concat:a.mp4", "x" * 250 + ".mp4"],
)
def test_names_are_taken_as_they_are(tmp_path, name, numbered, number_of):
    with open_writer(tmp_path / name) as writer:
        for n in range(3):
            writer.write(numbered(n))
    assert [number_of(f) for f in open_film(tmp_path / name)] == [0, 1, 2]
    assert [f.name for f in tmp_path.iterdir()] == [name]
