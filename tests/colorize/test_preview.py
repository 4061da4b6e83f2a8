"""A preview: some frames of the film, small, for as long as the film lasts."""

import cv2
import numpy as np
import pytest

from flowchroma.film import open_film


@pytest.fixture
def scenes(textured):
    """Write a folder of shots of other pictures, each of so many frames, and give its frames."""

    def made(folder, lengths, size=(64, 96)):
        folder.mkdir()
        random = np.random.default_rng(0)
        for length in lengths:
            layers = [
                cv2.resize(random.random((n, 2 * n), dtype=np.float32), (size[1] + 40, size[0])) for n in (4, 9, 20)
            ]
            wide = cv2.normalize(np.sum(layers, axis=0), None, 20, 235, cv2.NORM_MINMAX)
            for t in range(length):
                number = len(list(folder.iterdir()))
                cv2.imwrite(str(folder / f"shot_{number:04}.png"), wide[:, t : t + size[1]].astype(np.uint8))
        return np.stack(list(open_film(folder)))

    return made


def luminance(frames):
    return np.stack([cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[:, :, 0] for rgb in frames]).astype(int)


def test_it_lasts_as_long_as_the_film_and_shows_every_twelfth_frame_at_its_time(
    tmp_path, run, system, film_file, picture
):
    film_file(tmp_path / "in.mp4", frames=60, size=(300, 400), sound=True)
    picture(tmp_path / "ref.png")
    with pytest.warns(UserWarning, match=r"a preview holds no 1 sound track of in\.mp4: left out"):
        code, out, _ = run("source=in.mp4", "reference=ref.png", "output=look.mp4", "preview=true", "report=true")
    assert (code, out.startswith("5 frames")) == (0, True)
    source, made = open_film("in.mp4"), open_film("look.mp4")
    assert made.size == (240, 320)
    base, times, last = made.times
    assert [float(time * base) for time in times] == pytest.approx([n * 12 / 24 for n in range(5)])
    assert float((times[-1] + last) * base) == pytest.approx(60 / 24)
    wanted = [cv2.resize(source.read([12 * n])[0], (320, 240), interpolation=cv2.INTER_AREA) for n in range(5)]
    assert np.abs(luminance(made) - luminance(wanted)).mean() < 2
    assert {size[-2:] for what, size in system.calls if what == "match"} == {(112, 149)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "look.mp4", "ref.png"]


def test_each_shot_and_each_keyframe_is_in_it(tmp_path, run, system, scenes):
    frames = scenes(tmp_path / "in", (30, 7, 20))
    for number, ratios in ((5, (0.5, 0.8, 1)), (50, (1, 0.8, 0.5))):
        (tmp_path / "keys").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "keys" / f"{number}.png"), (frames[number] * ratios).astype(np.uint8))
    assert run("source=in", "keyframes=keys", "output=look", "preview=true")[0] == 0
    made = open_film("look")
    assert [file.name for file in made.files] == [f"shot_{n:04}.png" for n in (0, 5, 15, 30, 37, 47, 50)]
    assert np.abs(luminance(made) - luminance(frames[[0, 5, 15, 30, 37, 47, 50]])).max() <= 1
    assert (made.read([1])[0][..., 0].astype(int) > made.read([1])[0][..., 2]).mean() > 0.9
    assert (made.read([6])[0][..., 0].astype(int) < made.read([6])[0][..., 2]).mean() > 0.9


def test_a_part_of_a_film_and_frames_that_cannot_be_read(tmp_path, run, system, scenes, picture):
    scenes(tmp_path / "in", (40,))
    picture(tmp_path / "ref.png")
    (tmp_path / "in" / "shot_0025.png").write_bytes(b"torn")
    with pytest.warns(UserWarning, match="the frame before is held over"):
        run("source=in", "reference=ref.png", "output=look", "preview=true", "frames=13:37")
    assert [file.stem for file in open_film("look").files] == ["shot_0013", "shot_0025"]
    first, second = open_film("look")
    assert np.array_equal(first, second)


def test_work_on_a_preview_and_on_the_film_are_not_mixed(tmp_path, run, system, scenes, picture):
    scenes(tmp_path / "in", (15, 20))
    picture(tmp_path / "ref.png")
    given = ("source=in", "reference=ref.png", "output=out.mp4")
    assert "joined when" in run(*given, "preview=true", "shots=1")[1]
    code, _, err = run(*given)
    assert (code, err.count("\n")) == (1, 1)
    assert "preview=True, not " in err
    assert run(*given, "preview=true", "shots=2")[1].startswith("3 frames")
    assert not list(tmp_path.glob(".out*"))
    code, _, err = run(*given, "preview=true")
    assert (code, "is there already" in err) == (1, True)
