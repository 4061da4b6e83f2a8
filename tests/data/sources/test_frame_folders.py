import pytest

from flowchroma.data.sources.frame_folders import FrameFolders
from flowchroma.errors import UserError


def names(films):
    return [film.name for film in films]


def test_splits_come_from_the_lists(davis):
    source = FrameFolders(davis())
    assert names(source.films("train")) == ["a", "b"]
    assert names(source.films("val")) == names(source.films("test")) == ["c"]
    assert source.epoch_length(2) == 8


@pytest.mark.parametrize(
    ("present", "asked", "taken"),
    [(("240p",), None, "240p"), (("240p", "480p", "1080p"), None, "480p"), (("240p", "480p"), "240p", "240p")],
)
def test_resolution_is_chosen(davis, present, asked, taken):
    film = FrameFolders(davis(present), resolution=asked).films("train")[0]
    assert film.path.parent.name == taken


def test_frames_are_in_numeric_order(tmp_path, davis, write_frames):
    root = davis()
    write_frames(root / "JPEGImages/480p/d", 12, suffix="png", name="frame{}")
    (root / "ImageSets/2017/val.txt").write_text("d\n")
    (film,) = FrameFolders(root).films("val")
    assert [int(frame[0, 0, 0]) for frame in film.read(range(12))] == [20 * index for index in range(12)]


def test_no_root():
    with pytest.raises(UserError, match=r"data.root is not set: give the folder that holds JPEGImages"):
        FrameFolders(None).films("train")


def test_missing_things_are_named(davis, tmp_path):
    with pytest.raises(UserError, match="nowhere is not a folder"):
        FrameFolders(tmp_path / "nowhere").films("train")
    with pytest.raises(UserError, match="has no folder JPEGImages"):
        FrameFolders(tmp_path).films("train")
    root = davis(("240p", "1080p"))
    with pytest.raises(UserError, match="no resolution 480p; it has: 1080p, 240p"):
        FrameFolders(root).films("train")
    with pytest.raises(UserError, match="no resolution 720p"):
        FrameFolders(root, resolution="720p").films("train")
    with pytest.raises(UserError, match=r"2016/train.txt is missing"):
        FrameFolders(root, year="2016", resolution="240p").films("train")


def test_shared_and_empty_lists_are_refused(davis):
    root = davis()
    lists = root / "ImageSets/2017"
    (lists / "val.txt").write_text("c\na\n")
    with pytest.raises(UserError, match="a is both in"):
        FrameFolders(root).films("train")
    (lists / "val.txt").write_text("\n")
    with pytest.raises(UserError, match="names no sequence"):
        FrameFolders(root).films("val")
