import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowchroma.data.made.sample import SampleFilm
from flowchroma.data.sources.films import Films, _hashed
from flowchroma.data.sources.source import LazyFilm
from flowchroma.errors import UserError
from flowchroma.film.film import HasExactFlow


def names(films):
    return [film.name for film in films]


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_finds_films_and_frame_folders_at_any_depth(tmp_path):
    touch(tmp_path, "a.mp4", "deep/b.MKV", "deep/er/c/00001.jpg", "deep/er/c/00002.jpg", "notes.txt", ".hidden/d.mp4")
    touch(tmp_path, "deep/poster.png")  # beside a film: no frame folder
    source = Films(tmp_path)
    assert sorted(names(source.films("train")) + names(source.films("val"))) == ["a", "deep/b", "deep/er/c"]


def test_sub_folders_are_honoured(tmp_path):
    touch(tmp_path, "train/a.mp4", "train/b.mp4", "val/c.mp4", "test/d.mp4")
    source = Films(tmp_path)
    assert names(source.films("train")) == ["train/a", "train/b"]
    assert names(source.films("val")) == ["val/c"]
    assert names(source.films("test")) == ["test/d"]


def test_test_folder_stands_in_for_val_and_is_never_trained_on(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "test/d.mp4")
    source = Films(tmp_path)
    assert names(source.films("val")) == ["test/d"]
    assert names(source.films("train")) == ["a", "b"]


def test_a_train_folder_alone_is_split_by_hash(tmp_path):
    touch(tmp_path, *(f"train/{k}.mp4" for k in range(5)))
    source = Films(tmp_path)
    assert len(source.films("train")) + len(source.films("val")) == 5


def test_lists_decide(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "in/c.mp4", "d.mp4")
    (tmp_path / "train.txt").write_text("a.mp4\nc\n")
    (tmp_path / "val.txt").write_text("b\n")
    both = Films(tmp_path, train_list="train.txt", val_list=tmp_path / "val.txt")
    assert names(both.films("train")) == ["a", "in/c"]
    assert names(both.films("val")) == ["b"]
    one = Films(tmp_path, val_list="val.txt")
    assert names(one.films("train")) == ["a", "d", "in/c"]


def test_listed_films_that_are_not_there_are_kept_to_be_named(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "train.txt").write_text("a\ngone\n")
    present, gone = Films(tmp_path, train_list="train.txt").films("train")
    assert (present.name, gone.name) == ("a", "gone")
    with pytest.raises(UserError, match="gone"):
        len(gone)


def test_lists_that_share_a_film_are_refused(tmp_path):
    touch(tmp_path, "in/a.mp4", "b.mp4")
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "val.txt").write_text("in/a.mp4\n")
    with pytest.raises(UserError, match="in/a is in both"):
        Films(tmp_path, train_list="train.txt", val_list="val.txt").films("train")


@given(st.sets(st.text("abcdefgh0123", min_size=1), min_size=2, max_size=40), st.floats(0.01, 0.99))
def test_hash_holds_out_some_but_not_all(films, fraction):
    held_out = _hashed(films, fraction)
    assert 1 <= len(held_out) < len(films)
    assert held_out == _hashed(sorted(films, reverse=True), fraction)


def test_hash_is_stable_when_films_are_added():
    some = {f"film{k}" for k in range(100)}
    more = some | {f"other{k}" for k in range(100)}
    assert _hashed(more, 0.2) & some == _hashed(some, 0.2)
    assert 25 <= len(_hashed(more, 0.2)) <= 55


def test_train_and_val_never_share_a_film(tmp_path):
    touch(tmp_path, *(f"film{k}.mp4" for k in range(20)))
    source = Films(tmp_path, val_fraction=0.3)
    train, val = names(source.films("train")), names(source.films("val"))
    assert sorted(train + val) == sorted(f"film{k}" for k in range(20))


def test_one_name_is_one_film_whatever_its_suffix(tmp_path):
    touch(tmp_path, "a.mp4", "a.mov", "b.mp4")
    source = Films(tmp_path)
    assert sorted(names(source.films("train")) + names(source.films("val"))) == ["a", "b"]


def test_nothing_usable_says_what_was_looked_for(tmp_path):
    with pytest.raises(UserError, match=r"data.root is not set"):
        Films(None).films("train")
    touch(tmp_path, "readme.txt")
    with pytest.raises(UserError, match=rf"under {tmp_path}: looked for .*\*\.mp4"):
        Films(tmp_path).films("train")
    touch(tmp_path, "only.mp4")
    assert names(Films(tmp_path).films("train")) == ["only"]
    with pytest.raises(UserError, match="none is for val"):
        Films(tmp_path).films("val")
    with pytest.raises(UserError, match="neither a file"):
        Films(tmp_path, train_list="absent.txt").films("train")


def test_asking_for_exact_flow_opens_no_film(tmp_path):
    assert not isinstance(LazyFilm("gone", tmp_path / "gone.mp4"), HasExactFlow)
    assert isinstance(SampleFilm(0), HasExactFlow)


@pytest.mark.parametrize("suffix", ["ts", "VOB", "3gp", "gif", "dv", "m2ts", "mkv", "mxf", "h264"])
def test_what_colorize_reads_is_a_film_here_too(tmp_path, suffix):
    touch(tmp_path, f"reels/one.{suffix}", "reels/two.mp4", "frames/0.png", "frames/1.png", "frames/preview.gif")
    assert names(Films(tmp_path, val_fraction=0.3).films("train") + Films(tmp_path, val_fraction=0.3).films("val")) == [
        "frames", "reels/one", "reels/two",
    ]  # fmt: skip
