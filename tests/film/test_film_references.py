import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from flowchroma.errors import UserError
from flowchroma.film import open_film, read_reference
from flowchroma.film.references import has_one_hue

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


def photograph() -> np.ndarray:
    return skimage.data.chelsea()  # RGB, 300 x 451


def toned(curve: tuple[float, float, float], quality: int) -> np.ndarray:
    """The photograph in gray, each channel by a gamma and a gain of its own, through JPEG."""
    light = cv2.cvtColor(photograph(), cv2.COLOR_RGB2GRAY)[..., None] / 255
    rgb = (light ** np.array(curve) * (1, 0.9, 0.75) * 255).round().astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)[..., ::-1]


@pytest.mark.parametrize("curve", [(1, 1, 1), (0.8, 1, 1.3), (1.4, 1.1, 0.7)])
@pytest.mark.parametrize("quality", [75, 95])
def test_a_toned_picture_is_warned_of_and_a_toned_film_gives_no_colour(tmp_path, curve, quality):
    film = tmp_path / "sepia"
    for number in range(2):
        save(film / f"{number}.png", toned(curve, quality))
    picture = save(tmp_path / "toned.png", toned(curve, quality))
    with pytest.warns(UserWarning, match="toned.png has one hue"):
        read_reference(str(picture), open_film(film))
    for spec in ("first", "1", str(film / "1.png")):
        with pytest.raises(UserError, match="is gray with a tint"):
            read_reference(spec, open_film(film))


@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee", "rocket"])
def test_photographs_have_more_than_one_hue(name):
    assert not has_one_hue(getattr(skimage.data, name)())


def test_a_poster_of_few_colours_is_no_toned_picture():
    bars = np.linspace(0, 1, 16)[:, None] * np.array([1, 0, 0]) + np.linspace(1, 0, 16)[:, None] * np.array([0, 0.4, 1])
    poster = (bars * 255).astype(np.uint8)[np.random.default_rng(0).permutation(16)].repeat(8, 0)[None].repeat(64, 0)
    assert not has_one_hue(poster)
    assert not has_one_hue(coloured())


@pytest.mark.parametrize("kind", ["rgba.png", "palette.png", "rgba.webp", "rgba.tif", "turned.png"])
def test_transparent_pixels_give_no_colour(film, tmp_path, kind):
    rgb = np.full((40, 60, 3), (30, 120, 60), np.uint8)
    rgb[:, 30:] = (250, 0, 250)  # hidden below the transparency
    rgb[20:, :30] = (90, 60, 200)
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:, 30:] = 0
    picture = Image.fromarray(np.dstack([rgb, alpha]))
    path, exif = tmp_path / kind, Image.Exif()
    if kind.startswith("palette"):
        picture = picture.quantize(8)
    if kind.startswith("turned"):
        picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6
    picture.save(path, exif=exif, **({"lossless": True} if kind.endswith("webp") else {}))
    read = read_reference(str(path), film)[0].astype(int)
    assert read.shape == rgb.shape
    np.testing.assert_allclose(read[:, :30], rgb[:, :30], atol=2)
    np.testing.assert_allclose(read[:19, 30:], np.full((19, 30, 3), (30, 120, 60)), atol=2)
    np.testing.assert_allclose(read[21:, 30:], np.full((19, 30, 3), (90, 60, 200)), atol=2)


def test_a_picture_that_shows_nothing_is_refused(film, tmp_path):
    Image.new("RGBA", (20, 20), (200, 30, 30, 0)).save(tmp_path / "nothing.png")
    with pytest.raises(UserError, match="transparent all over"):
        read_reference(str(tmp_path / "nothing.png"), film)
