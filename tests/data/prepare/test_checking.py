import json
import os
import shutil

import numpy as np
import pytest

from flowchroma.data import ClipDataModule, Films, FrameFolders, NamedFilms
from flowchroma.data.prepare.checking import check
from flowchroma.data.sources.film_index import read_film_index
from flowchroma.data.sources.films import find_films, search
from flowchroma.errors import UserError


@pytest.fixture
def write_film():
    """Write an mp4 of moving gray."""
    import av

    def write(path, count=20):
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", options={"movflags": "faststart"}) as out:
            stream = out.add_stream("libx264", rate=25, options={"g": "5"})
            stream.width, stream.height = 64, 48
            draw = np.random.default_rng(0)
            for _ in range(count):
                frame = av.VideoFrame.from_ndarray(draw.integers(0, 256, (48, 64, 3), np.uint8), format="rgb24")
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    return write


def test_a_whole_set_is_counted_and_read_once(davis):
    source = FrameFolders(davis())
    first = check(source)
    assert (first.films, first.frames, first.unchanged, first.problems) == (3, 18, 0, [])
    again = check(source)
    assert (again.films, again.frames, again.unchanged, again.problems) == (3, 18, 3, [])


def test_checking_again_writes_nothing(davis):
    root = davis()
    check(FrameFolders(root))
    before = {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}
    check(FrameFolders(root))
    assert {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]} == before


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("no picture")


def larger(path):
    from PIL import Image

    Image.new("RGB", (40, 30)).save(path)


@pytest.mark.parametrize("damage", [cut, empty, text, larger])
def test_each_bad_frame_is_named_in_one_line(davis, damage):
    root = davis()
    bad = [root / "JPEGImages/480p/a/00002.jpg", root / "JPEGImages/480p/a/00004.jpg"]
    for path in bad:
        damage(path)
    checked = check(FrameFolders(root))
    assert (checked.films, checked.bad, checked.frames) == (3, 1, 12)
    assert len(checked.problems) == 2
    for path, line in zip(bad, checked.problems, strict=True):
        assert str(path) in line
        assert "\n" not in line
    mended = root / "JPEGImages/480p/b/00002.jpg"
    for path in bad:
        path.write_bytes(mended.read_bytes())
    assert check(FrameFolders(root)).unchanged == 2  # the bad film was not noted as whole


def test_what_a_list_names_must_be_there(davis):
    root = davis()
    for path in (root / "JPEGImages/480p/b").iterdir():
        path.unlink()
    (root / "ImageSets/2017/val.txt").write_text("c\nnowhere\n")
    lines = check(FrameFolders(root)).problems
    assert len(lines) == 2
    assert f"no frames in {root}/JPEGImages/480p/b" in lines[0]
    assert f"no film at {root}/JPEGImages/480p/nowhere" in lines[1]


def test_a_gap_in_the_numbers_is_a_missing_frame(davis):
    root = davis()
    for number in (2, 3):
        (root / f"JPEGImages/480p/a/0000{number}.jpg").unlink()
    (line,) = check(FrameFolders(root)).problems
    assert line == f"{root}/JPEGImages/480p/a lacks 2 of its frames, the first being number 00002"


@pytest.mark.skipif(os.geteuid() == 0, reason="no permission is refused to root")
def test_a_file_that_may_not_be_read_is_named(davis):
    root = davis()
    locked = root / "JPEGImages/480p/a/00002.jpg"
    locked.chmod(0)
    (line,) = check(FrameFolders(root)).problems
    assert line == f"cannot read the picture {locked}: Permission denied"


def test_a_refused_permission_is_named(davis, monkeypatch):
    from pathlib import Path

    root = davis()
    locked = root / "JPEGImages/480p/a/00002.jpg"
    opened = Path.open

    def refuse(self, *arguments, **options):
        if self == locked:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    (line,) = check(FrameFolders(root)).problems
    assert line == f"cannot read the picture {locked}: Permission denied"


def test_bad_films_are_named(tmp_path, write_film):
    write_film(tmp_path / "whole.mp4")
    film = write_film(tmp_path / "cut.mp4")
    film.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no film")
    checked = check(Films(tmp_path))
    assert (checked.films, checked.bad, checked.frames) == (4, 3, 20)
    named = {name for name in ("cut", "empty", "text") for line in checked.problems if f"{tmp_path}/{name}.mp4" in line}
    assert named == {"cut", "empty", "text"}
    assert not any("\n" in line for line in checked.problems)


def test_the_index_stands_in_for_opening_films(davis, monkeypatch, write_film, tmp_path):
    root = davis()
    write_film(tmp_path / "films/in/x.mp4", 9)
    write_film(tmp_path / "films/y.mp4", 7)
    before = {film.name: (len(film), film.size) for film in Films(tmp_path / "films").films("train")}
    check(FrameFolders(root))
    check(Films(tmp_path / "films"))
    monkeypatch.setattr("flowchroma.film.open_film", lambda path: pytest.fail(f"{path} was opened"))
    monkeypatch.setattr("flowchroma.data.sources.films.search", lambda root: pytest.fail(f"{root} was searched"))
    assert [(len(film), film.size) for film in FrameFolders(root).films("train")] == [(6, (24, 32))] * 2
    assert {film.name: (len(film), film.size) for film in Films(tmp_path / "films").films("train")} == before


def test_what_changed_is_not_taken_from_the_index(davis, tmp_path, write_film):
    root = davis()
    film = write_film(tmp_path / "films/a.mp4", 9)
    check(FrameFolders(root))
    check(Films(tmp_path / "films"))
    (root / "JPEGImages/480p/a/00005.jpg").unlink()
    write_film(film, 12)
    assert [len(film) for film in FrameFolders(root).films("train")] == [5, 6]
    assert [len(film) for film in Films(tmp_path / "films").films("train")] == [12]
    write_film(tmp_path / "films/deep/er/b.mp4", 5)
    assert sorted(find_films(tmp_path / "films")) == ["a", "deep/er/b"]
    film.unlink()
    assert sorted(find_films(tmp_path / "films")) == ["deep/er/b"]


def test_an_indexed_listing_equals_a_searched_one(tmp_path, write_film, write_frames):
    write_film(tmp_path / "a.mp4")
    write_film(tmp_path / "in/b.mp4")
    write_frames(tmp_path / "in/c", 3)
    check(Films(tmp_path))
    assert read_film_index(tmp_path).current_films() == search(tmp_path)[0] == find_films(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": 1}', '{"version": 7, "films": {}}', '{"version": 1, "films": 3}']
)
def test_a_damaged_index_is_as_none(davis, content):
    root = davis()
    check(FrameFolders(root))
    (root / ".flowchroma/index.json").write_text(content)
    assert check(FrameFolders(root)).frames == 18
    assert json.loads((root / ".flowchroma/index.json").read_text())["films"]


def test_a_set_that_cannot_be_written_to_is_said(davis, monkeypatch):
    root = davis()

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("flowchroma.data.sources.film_index.write_json", refuse)
    with pytest.raises(UserError, match=rf"cannot write the index of {root}: Read-only file system; the set can be"):
        check(FrameFolders(root))


def test_a_film_that_vanishes_while_a_run_reads_it_is_replaced_and_named(davis):
    root = davis()
    check(FrameFolders(root))
    data = ClipDataModule(
        {"davis": FrameFolders(root, clips_per_film=6)}, clip_length=3, size=(16, 16), batch_size=1, num_workers=0,
        val_length=3,
    )  # fmt: skip
    batches = iter(data.train_dataloader())
    next(batches)
    shutil.rmtree(root / "JPEGImages/480p/a")
    rest = list(batches)
    assert len(rest) == 11
    skipped = {entry for batch in rest for entry in batch.skipped}
    assert skipped
    assert all(entry.startswith("a: ") and f"{root}/JPEGImages/480p/a" in entry for entry in skipped)
    assert all(batch.names[0].startswith("b ") for batch in rest)


def test_test_sets_are_checked_as_well(davis):
    assert check(NamedFilms(davis())).films == 3
