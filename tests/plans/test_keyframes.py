from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from flowchroma.errors import UserError
from flowchroma.film import open_film
from flowchroma.plans.keyframes import fitted_one_by_one, keyframe_files, keyframe_of_film


def scene(number=0):
    """(120, 180, 3): a photograph before which a part of another moves by 12 pixels a frame."""
    rgb = cv2.resize(skimage.data.coffee(), (180, 120), interpolation=cv2.INTER_AREA)
    rgb[10 + 12 * number : 50 + 12 * number, 60:120] = skimage.data.chelsea()[60:100, 100:160]
    return rgb


def gray(rgb):
    return cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def sepia(rgb):
    return (gray(rgb) * (1, 0.85, 0.65)).astype(np.uint8)


def read(folder, film, rate=None):
    """A folder's keyframes that fit, those that do not, and its gray pictures."""
    named, still_gray = keyframe_files(folder, film, rate), []
    found = list(fitted_one_by_one(named, film, still_gray))
    return [one for one in found if one.fits], [one for one in found if not one.fits], still_gray


def save(path: Path, rgb) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture
def film(tmp_path):
    for number in range(5):
        save(tmp_path / "film" / f"{number:03}.png", gray(scene(number)))
    return open_film(tmp_path / "film")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "keys").mkdir()
    return tmp_path / "keys"


def test_pictures_lie_on_their_frames_in_order(film, folder):
    save(folder / "frame_4.jpg", scene(4))
    save(folder / "00-00-00.02.png", cv2.resize(scene(2), None, fx=2, fy=2))
    save(folder / "0.png", np.roll(scene(0), 3, axis=1))
    (folder / "notes.txt").write_text("7")
    (folder / ".9.png").write_text("hidden")
    with pytest.warns(UserWarning, match="it is laid on frame") as told:
        fitting, references, still_gray = read(folder, film, rate=25)
    assert [keyframe.frame for keyframe in fitting] == [0, 2, 4]
    assert not references
    assert not still_gray
    assert all(keyframe.rgb.shape == (120, 180, 3) for keyframe in fitting)
    assert np.abs(fitting[0].rgb.astype(int) - scene(0))[5:-5, 5:-5].mean() < 3
    assert fitting[2].origin == str(folder / "frame_4.jpg")
    lines = [str(warning.message) for warning in told]
    assert len(lines) == 2
    assert "0.png is shifted by -3.0, " in lines[0]
    assert "00-00-00.02.png is of 360 x 240 pixels" in lines[1]


def test_what_does_not_fit_is_a_reference(film, folder):
    save(folder / "1.png", scene(3))
    save(folder / "4.png", cv2.resize(skimage.data.astronaut(), (200, 150)))
    with pytest.warns(UserWarning, match="plain reference") as told:
        fitting, references, _ = read(folder, film)
    assert not fitting
    assert [keyframe.rgb.shape for keyframe in references] == [(120, 180, 3), (150, 200, 3)]
    lines = [str(warning.message) for warning in told]
    assert "1.png does not show frame 1, it looks like frame 3: it is used as a plain reference" in lines[0]
    assert "4.png does not show frame 4, nor one near it" in lines[1]


def test_gray_pictures_are_told_and_left_out(film, folder):
    save(folder / "0.png", scene(0))
    for number in (1, 2):
        save(folder / f"{number}.png", gray(scene(number)))
    with pytest.warns(
        UserWarning, match=r"2 of 3 keyframes in .*keys are still gray: 1\.png, 2\.png: they are left out"
    ):
        fitting, _, still_gray = read(folder, film)
    assert [keyframe.frame for keyframe in fitting] == [0]
    assert [path.name for path in still_gray] == ["1.png", "2.png"]


def test_a_toned_picture_of_a_toned_film_is_still_gray_and_of_a_gray_one_a_wish(tmp_path, folder):
    for name, tone in (("toned", sepia), ("plain", gray)):
        for number in range(2):
            save(tmp_path / name / f"{number}.png", tone(scene(number)))
    save(folder / "1.png", sepia(scene(1)))
    with pytest.raises(UserError, match="still gray"):
        read(folder, open_film(tmp_path / "toned"))
    with pytest.warns(UserWarning, match="one hue"):
        assert len(read(folder, open_film(tmp_path / "plain"))[0]) == 1


def test_a_damaged_frame_leaves_its_keyframe_a_reference(film, folder):
    save(folder / "2.png", scene(2))
    film.files[2].write_bytes(film.files[2].read_bytes()[:500])
    with pytest.warns(UserWarning, match="2.png is used as a plain reference: .*002.png is cut off"):
        _, references, _ = read(folder, film)
    assert [keyframe.frame for keyframe in references] == [2]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "no keyframes in .*keys: looked for"),
        (["5.png"], r"keys/5.png: .*film has no frame 5: its frames are 0 to 4"),
        (["2.png", "frame_002.png"], "both frame 2: keep one"),
        (["2.png", "00-00-00.02.png"], "both frame 2: keep one"),
        (["last.png"], "last.png has no number in its name"),
        (["shot2_004.png"], "more than one number in its name"),
        (["00-00-00.25.png"], "a second has 25"),
    ],
)
def test_folders_that_cannot_be_used(film, folder, names, said):
    for name in names:
        save(folder / name, scene())
    with pytest.raises(UserError, match=said) as error:
        keyframe_files(folder, film, rate=25)
    assert "\n" not in str(error.value)


def test_folders_that_are_none(film, tmp_path):
    with pytest.raises(UserError, match=r"no folder of keyframes at .*nowhere"):
        keyframe_files(tmp_path / "nowhere", film)
    with pytest.raises(UserError, match="is no folder"):
        keyframe_files(save(tmp_path / "0.png", scene()), film)


def test_an_unreadable_picture_and_an_all_gray_folder(film, folder):
    save(folder / "1.png", gray(scene(1)))
    with pytest.raises(UserError, match=r"1 of 1 keyframes in .* are still gray: 1\.png: colour one of them first"):
        read(folder, film)
    (folder / "3.jpg").write_text("no picture")
    with pytest.raises(UserError, match=r"3\.jpg as a picture"):
        read(folder, film)


def test_a_frame_of_the_film_is_a_keyframe_as_it_is(tmp_path):
    save(tmp_path / "colour" / "0.png", gray(scene()))
    save(tmp_path / "colour" / "1.png", scene(1))
    film = open_film(tmp_path / "colour")
    keyframe = keyframe_of_film(1, film)
    assert (keyframe.frame, keyframe.origin, keyframe.fit) == (1, "frame 1 of colour", None)
    np.testing.assert_array_equal(keyframe.rgb, scene(1))
    for number in (0, 2):
        with pytest.raises(UserError):
            keyframe_of_film(number, film)
