import cv2
import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import open_film, read_reference

RNG = np.random.default_rng(0)


def save(path, rgb, *flags):
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), list(flags))
    return path


def gray(size=(90, 120)):
    return RNG.integers(0, 256, size, dtype=np.uint8)[:, :, None].repeat(3, 2)


def coloured(size=(90, 120), value=(200, 60, 40)):
    return np.full((*size, 3), value, np.uint8)


@pytest.fixture
def film(tmp_path):
    save(tmp_path / "film" / "0.png", coloured())
    save(tmp_path / "film" / "1.png", coloured(value=(20, 90, 200)))
    save(tmp_path / "film" / "2.png", gray())
    return open_film(tmp_path / "film")


@pytest.mark.parametrize(("spec", "frame"), [("first", 0), ("0", 0), ("1", 1), (1, 1)])
def test_a_frame_of_the_film(film, spec, frame):
    rgb, number = read_reference(spec, film)
    assert number == frame
    np.testing.assert_array_equal(rgb, film.read([frame])[0])


def test_a_picture_is_no_frame_unless_it_lies_in_the_film(film, tmp_path):
    path = save(tmp_path / "a picture, (1).png", coloured((40, 70)))
    rgb, number = read_reference(str(path), film)
    assert number is None
    np.testing.assert_array_equal(rgb, coloured((40, 70)))
    assert read_reference(str(film.files[1]), film)[1] == 1


@pytest.mark.parametrize("spec", ["3", "-1", 99])
def test_a_number_out_of_range_is_told_the_range(film, spec):
    with pytest.raises(UserError, match="0 to 2"):
        read_reference(spec, film)


def test_gray_references_are_refused(film, tmp_path):
    tinted = np.clip(gray((480, 640)) * np.array([1.0, 0.995, 0.985]), 0, 255).astype(np.uint8)
    speckled = gray((960, 1280))
    speckled[RNG.integers(0, 960, 50), RNG.integers(0, 1280, 50)] = (255, 0, 0)  # dead pixels of a scan
    refused = [
        save(tmp_path / "gray.png", gray()),
        save(tmp_path / "one channel.jpg", gray(), cv2.IMWRITE_JPEG_QUALITY, 30),
        save(tmp_path / "tinted.png", tinted),
        save(tmp_path / "speckled.png", speckled),
        save(tmp_path / "black.png", np.zeros((50, 50, 3), np.uint8)),
    ]
    for path in refused:
        with pytest.raises(UserError, match=r"no colour"):
            read_reference(str(path), film)
    with pytest.raises(UserError, match="frame 2 of film has no colour"):
        read_reference("2", film)


def test_a_little_colour_is_enough(film, tmp_path):
    poppy = gray((480, 640))
    poppy[100:130, 200:230] = (210, 40, 30)
    pastel = np.clip(gray().astype(int) * 0.3 + np.array([170, 160, 150]), 0, 255).astype(np.uint8)
    for rgb in (poppy, pastel, coloured((1, 1)), coloured((2000, 3))):
        assert read_reference(str(save(tmp_path / "x.png", rgb)), film) is not None


def test_what_is_no_picture_is_refused_by_name(film, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "nowhere.png", "film"):
        with pytest.raises(UserError, match=name):
            read_reference(str(tmp_path / name), film)
