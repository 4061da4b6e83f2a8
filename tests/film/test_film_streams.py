"""What goes with the picture: all of it arrives, or a line says what does not; and no end costs frames."""

import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from flowchroma.film import open_film, open_writer


def copy(source, target, **options):
    film = open_film(source)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with open_writer(target, like=film, **options) as writer:
            for frame in film:
                writer.write(frame)
    return [str(line.message) for line in said]


def silent(write_film, numbered, path, count=25):
    return write_film(path, [numbered(n) for n in range(count)])


def with_sound(path, picture, codec, channels, rate=48000, seconds=1.0, layout=None):
    """The picture of a film, with tones in `channels` channels, each of its own pitch."""
    layout = layout or {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}[channels]
    with av.open(str(picture)) as source, av.open(str(path), "w") as output:
        stream = source.streams.video[0]
        copied = output.add_stream_from_template(stream)
        track = output.add_stream(codec, rate=rate, layout=layout)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copied
                output.mux(packet)
        at = np.arange(int(rate * seconds)) / rate
        wave = np.stack([0.2 * np.sin(2 * np.pi * 200 * (n + 1) * at) for n in range(channels)]).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave.T.reshape(1, -1).copy(), format="flt", layout=layout)
        frame.rate, frame.pts = rate, 0
        size = track.codec_context.frame_size or 1024
        for piece in av.AudioResampler(track.format, layout, rate, frame_size=size).resample(frame):
            output.mux(track.encode(piece))
        output.mux(track.encode(None))
    return path


def pitches(path):
    """Loudest frequency of each channel, to 10 Hz."""
    with av.open(str(path)) as source:
        track = source.streams.audio[0]
        resampler = av.AudioResampler("flt", track.layout, track.rate)
        wave = np.concatenate([p.to_ndarray() for f in source.decode(track) for p in resampler.resample(f)], axis=1)
        wave = wave.reshape(-1, track.channels).T
        spectrum = np.abs(np.fft.rfft(wave[:, : track.rate // 2]))
        return [int(round(2 * peak, -1)) for peak in spectrum.argmax(1)], track.codec_context.name


@pytest.mark.parametrize(("name", "codec", "channels", "out", "kept"), [
    ("tape.avi", "pcm_s16le", 2, "out.mp4", "aac"),
    ("tape.mkv", "pcm_s16le", 2, "out.mp4", "aac"),
    ("tape.mov", "pcm_s24le", 1, "out.mp4", "aac"),
    ("tape.avi", "pcm_s16le", 2, "out.mov", "pcm_s16le"),
    ("tape.avi", "pcm_s16le", 2, "out.mkv", "pcm_s16le"),
    ("eight.mkv", "flac", 8, "out.mp4", "flac"),
    ("eight.mkv", "pcm_s24le", 8, "out.mp4", "aac"),
    ("six.mkv", "pcm_s16le", 6, "out.mp4", "aac"),
    ("quad.mkv", "pcm_s16le", 4, "out.mp4", "aac"),
    ("five.mkv", "wavpack", 5, "out.mp4", "aac"),
])  # fmt: skip
def test_every_channel_arrives(tmp_path, write_film, numbered, name, codec, channels, out, kept):
    picture = write_film(tmp_path / "v.avi", [numbered(n) for n in range(25)], codec="mpeg4")
    source = with_sound(tmp_path / name, picture, codec, channels)
    said = copy(source, tmp_path / out)
    found, made = pitches(tmp_path / out)
    wanted = [200 * (n + 1) for n in range(channels)]
    assert made == kept
    assert len(found) == channels
    low = 3 if channels in (6, 8) and kept == "aac" else None  # that channel keeps what is low
    for n, (one, other) in enumerate(zip(found, wanted, strict=True)):
        assert n == low or abs(one - other) <= 10
    assert len(said) == (kept != codec)
    assert all("encoding it to AAC" in line for line in said)


def full_of_things(path, picture):
    """A film with two languages, subtitles, chapters, tags, a font and a cover."""
    with av.open(str(picture)) as source, av.open(str(path), "w") as output:
        stream = source.streams.video[0]
        copied = output.add_stream_from_template(stream)
        tracks = [output.add_stream("aac", rate=48000, layout="stereo") for _ in range(2)]
        for track, language, default in zip(tracks, ("eng", "deu"), (0, Disposition.default), strict=True):
            track.metadata.update({"language": language, "title": f"in {language}"})
            track.disposition = default
        text = output.add_stream("srt")
        text.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Text\n"
        text.metadata["language"] = "eng"
        text.disposition = Disposition.forced
        output.metadata.update({"title": "A street", "artist": "A studio", "date": "1923", "comment": "reel 4"})
        output.metadata["REEL"] = "seven"
        output.set_chapters([
            {"id": n, "start": 500 * n, "end": 500 * n + 500, "time_base": Fraction(1, 1000), "metadata": {"title": t}}
            for n, t in enumerate(("One", "Two"))
        ])  # fmt: skip
        output.add_attachment("font.ttf", "application/x-truetype-font", b"\0\1\0\0" + bytes(60))
        output.add_attachment("cover.png", "image/png", png())
        output.start_encoding()
        for start, what in ((100, "First line"), (600, "Zweite Zeile")):
            packet = av.Packet(what.encode())
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = 300, Fraction(1, 1000), text
            output.mux(packet)
        for track in tracks:
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 48000), np.float32), format="fltp", layout="stereo")
            frame.rate, frame.pts = 48000, 0
            for piece in av.AudioResampler("fltp", "stereo", 48000, frame_size=1024).resample(frame):
                output.mux(track.encode(piece))
            output.mux(track.encode(None))
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copied
                output.mux(packet)
    return path


def png():
    import cv2

    return cv2.imencode(".png", np.full((32, 32, 3), 90, np.uint8))[1].tobytes()


def contents(path):
    with av.open(str(path)) as film:
        texts = [bytes(p)[2:] if film.streams.subtitles[0].codec_context.name == "mov_text" else bytes(p)
                 for p in film.demux(film.streams.subtitles[0]) if p.size > 2]  # fmt: skip
        return {
            "sound": [
                (s.metadata.get("language"), bool(s.disposition & Disposition.default)) for s in film.streams.audio
            ],
            "titles": [s.metadata.get("title") or s.metadata.get("handler_name") for s in film.streams.audio],
            "subtitles": [s.metadata.get("language") for s in film.streams.subtitles],
            "texts": [text.decode() for text in texts],
            "chapters": [(c["start"] * c["time_base"], c["metadata"]["title"]) for c in film.chapters()],
            "tags": {key.lower(): value for key, value in film.metadata.items()},
            "attachments": [(s.name, len(s.data)) for s in film.streams.attachments],
            "covers": sum(bool(s.disposition & Disposition.attached_pic) for s in film.streams.video),
        }


@pytest.mark.parametrize("out", ["out.mkv", "out.mp4", "out.mov"])
def test_all_that_goes_with_the_picture_arrives_or_is_named(tmp_path, write_film, numbered, out):
    source = full_of_things(tmp_path / "in.mkv", silent(write_film, numbered, tmp_path / "v.mp4"))
    said = " | ".join(copy(source, tmp_path / out))
    made = contents(tmp_path / out)
    assert made["sound"] == [("eng", False), ("ger" if out == "out.mov" else "deu", True)]
    assert made["titles"] == ["in eng", "in deu"]
    assert "the title of" not in said
    assert made["subtitles"] == ["eng"]
    assert made["texts"] == ["First line", "Zweite Zeile"]
    assert made["chapters"] == [(0, "One"), (Fraction(1, 2), "Two")]
    assert {key: made["tags"].get(key) for key in ("title", "artist", "date", "comment")} == {
        "title": "A street", "artist": "A studio", "date": "1923", "comment": "reel 4",
    }  # fmt: skip
    assert made["covers"] == (out != "out.mov")
    assert ("cover" in said) == (out == "out.mov")
    if out == "out.mkv":
        assert ("font.ttf", 64) in made["attachments"]
        assert said == ""
    else:
        assert "font.ttf" in said
        assert "REEL" in said
        assert "mov_text" in said
        again = copy(tmp_path / out, tmp_path / "again.mkv")  # and back
        assert contents(tmp_path / "again.mkv")["texts"] == ["First line", "Zweite Zeile"]
        assert contents(tmp_path / "again.mkv")["covers"] == made["covers"]
        assert len(again) == 1
    folder = " | ".join(copy(source, tmp_path / "frames"))
    assert "2 sound tracks" in folder
    assert "1 subtitle track" in folder


def test_sound_over_a_joint_stays_in_step(tmp_path, write_film, numbered):
    data = b""
    for at in range(2):
        part = write_film(tmp_path / f"{at}.ts", [numbered(n) for n in range(50)], sound={"aac": 1}, g="10", bf="0")
        data += part.read_bytes()
    (tmp_path / "in.ts").write_bytes(data)
    copy(tmp_path / "in.ts", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.duration / 1e6 == pytest.approx(4, abs=0.1)
        times = [p.pts * p.time_base for p in made.demux(audio=0) if p.size]
        gaps = np.diff([float(time) for time in times])
        assert gaps.min() > 0.02
        assert gaps.max() < 0.1
        assert len(times) >= 2 * 86 - 3


@pytest.mark.parametrize("size", [(107, 191), (64, 95), (65, 96), (15, 31)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("quality", [17, 0])
def test_films_are_of_a_kind_that_every_player_shows(tmp_path, size, name, quality):
    with open_writer(tmp_path / name, crf=quality) as writer:
        for n in range(4):
            writer.write(np.full((*size, 3), 40 * n, np.uint8))
    with av.open(str(tmp_path / name)) as made:
        frame = next(made.decode(video=0))
        assert frame.format.name == "yuv420p"
        assert (frame.height, frame.width) == tuple(side + side % 2 for side in size)
        assert made.streams.video[0].profile in ("High", "Main", "Constrained Baseline")
    assert open_film(tmp_path / name).size == size


def test_lossless_is_had_for_the_asking(tmp_path, write_film, numbered):
    said = copy(silent(write_film, numbered, tmp_path / "in.mp4"), tmp_path / "a.mp4", crf="lossless")
    assert "browsers" in said[0]
    with av.open(str(tmp_path / "a.mp4")) as made:
        assert made.streams.video[0].profile.startswith("High 4:4:4")
    before, after = (open_film(tmp_path / name).read([1])[0].astype(int) for name in ("in.mp4", "a.mp4"))
    assert np.abs(before - after).max() <= 2


def test_where_a_container_knows_no_default_the_first_sound_is_it(tmp_path, write_film, numbered):
    source = write_film(tmp_path / "in.ts", [numbered(n) for n in range(25)], sound={"aac": 2})
    copy(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert [bool(s.disposition & Disposition.default) for s in made.streams.audio] == [True, False]
