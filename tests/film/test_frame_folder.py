import pickle

import cv2
import numpy as np
import pytest

from flowchroma.errors import UserError
from flowchroma.film import open_film, shown_frame


def save(folder, name, rgb):
    folder.mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / name), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def gray(value, size=(48, 80)):
    return np.full((*size, 3), value, np.uint8)


def smooth(size):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack((y * 200 // size[0], x * 200 // size[1], (x + y) % 200), -1).astype(np.uint8)


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    names = ["frame2.png", "frame10.PNG", "Frame1.bmp", "frame100.png", "frame003.tif"]
    for value, name in zip([2, 10, 1, 100, 3], names, strict=True):
        save(tmp_path / "film", name, gray(value))
    (tmp_path / "film" / "notes.txt").write_text("not a frame")
    (tmp_path / "film" / "._frame1.png").write_bytes(b"what macOS leaves")
    film = open_film(tmp_path / "film")
    assert (len(film), film.size, film.name) == (5, (48, 80), "film")
    assert [f[0, 0, 0] for f in film] == [1, 2, 3, 10, 100]
    assert [f[0, 0, 0] for f in film.read([4, 0, 0, 1])] == [100, 1, 1, 2]
    assert [f[0, 0, 0] for f in pickle.loads(pickle.dumps(film)).read([3])] == [10]


def test_channels_are_red_green_blue(tmp_path):
    save(tmp_path / "film", "0.png", np.array([[[250, 100, 5]]], np.uint8).repeat(9, 0).repeat(7, 1))
    assert open_film(tmp_path / "film").read([0])[0][0, 0].tolist() == [250, 100, 5]


@pytest.mark.parametrize(
    ("at_least", "expected"),
    [((30, 50), (30, 50)), ((31, 20), (60, 100)), ((15, 26), (30, 50)), ((61, 10), (120, 200)), ((8, 13), (15, 25))],
)
def test_jpeg_is_decoded_no_smaller_than_asked(tmp_path, at_least, expected):
    save(tmp_path / "film", "0.jpg", smooth((120, 200)))
    frame = open_film(tmp_path / "film").read([0], at_least=at_least)[0]
    assert frame.shape[:2] == expected
    small = cv2.resize(smooth((120, 200)), frame.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(frame.astype(int) - small).mean() < 8


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_odd_sizes_survive_reduced_decoding(tmp_path, suffix):
    for n in range(2):
        save(tmp_path / "film", f"{n}.{suffix}", smooth((121, 75)))
    frames = open_film(tmp_path / "film").read([0, 1], at_least=(20, 20))
    assert all(f.shape[0] >= 20 and f.shape[1] >= 20 for f in frames)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.97])
def test_a_frame_cut_off_is_refused_by_name(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    for n in range(2):
        save(tmp_path / "film", f"{n}.{suffix}", noise)
    hurt = tmp_path / "film" / f"1.{suffix}"
    hurt.write_bytes(hurt.read_bytes()[: int(kept * hurt.stat().st_size)])
    film = open_film(tmp_path / "film")
    film.read([0])
    with pytest.raises(UserError, match=hurt.name):
        film.read([1])
    with pytest.raises(UserError, match=hurt.name):
        list(film)


def test_jpeg_with_thumbnail_and_trailing_data_is_whole(tmp_path):
    save(tmp_path / "film", "0.jpg", smooth((64, 64)))
    path = tmp_path / "film" / "0.jpg"
    data = path.read_bytes()
    thumbnail = b"Exif\x00\x00" + data  # holds an end marker of its own
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = data[:2] + segment + data[2:]
    path.write_bytes(with_thumbnail + b"\xff\xda appended by a phone")
    assert open_film(tmp_path / "film").read([0])[0].shape == (64, 64, 3)
    # In the picture, and just behind the thumbnail, so that the file ends as a whole one does.
    for end in (len(with_thumbnail) - len(data) // 3, 2 + len(segment)):
        path.write_bytes(with_thumbnail[:end])
        with pytest.raises(UserError, match="cut off"):
            open_film(tmp_path / "film").read([0])


def test_frames_of_another_size_are_refused_by_name(tmp_path):
    save(tmp_path / "film", "0.png", gray(1))
    save(tmp_path / "film", "1.png", gray(1, (48, 82)))
    with pytest.raises(UserError, match=r"1\.png"):
        list(open_film(tmp_path / "film"))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        open_film(tmp_path)


def test_there_is_no_such_frame(tmp_path):
    save(tmp_path / "film", "0.png", gray(1))
    with pytest.raises(UserError, match="0 to 0"):
        open_film(tmp_path / "film").read([1])


def test_a_frame_of_another_size_is_shown_as_it_is_coloured(tmp_path):
    for number, size in enumerate([(40, 60), (20, 30), (40, 40)]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((*size, 3), 50 * number + 50, np.uint8))
    (tmp_path / "3.png").write_bytes(b"torn")
    film = open_film(tmp_path)
    wanted = [frame for frame in film.attempt() if not isinstance(frame, UserError)]
    for number in range(3):
        assert np.array_equal(shown_frame(film, number), wanted[number])
    assert (shown_frame(film, 2)[:, :10] == 0).all()  # a bar
    for number, said in ((3, "cannot read"), (4, "0 to 3")):
        with pytest.raises(UserError, match=said):
            shown_frame(film, number)
