import tarfile

import numpy as np
import pytest

from flowchroma.data import Films, FrameFolders, Shards
from flowchroma.data.prepare.packing import pack
from flowchroma.errors import UserError


def splits_of(source):
    return {split: source.films(split) for split in ("train", "val")}


def test_films_become_jpeg_close_to_them(tmp_path, fake_film):
    y, x = np.mgrid[0:33, 0:47]

    def paint(index):
        return np.stack((5 * x, 7 * y, 20 * index + x), axis=-1).astype(np.uint8)

    film = fake_film("smooth", frames=5, size=(33, 47), paint=paint)
    film.__class__ = type("Iterable", (type(film),), {"__iter__": lambda self: (paint(k) for k in range(5))})
    pack({"train": [film]}, tmp_path)
    (read,) = Shards(tmp_path).films("train")
    for index, frame in enumerate(read):
        assert np.abs(frame.astype(int) - paint(index)).mean() < 3


def test_packing_again_does_nothing(noisy, packed):
    before = {path: path.stat().st_mtime_ns for path in packed.iterdir()}
    again = pack(splits_of(FrameFolders(noisy)), packed)
    assert (again.films, again.new) == (4, 0)
    assert {path: path.stat().st_mtime_ns for path in packed.iterdir()} == before


def test_what_is_new_is_added(noisy, packed):
    lists = noisy / "ImageSets/2017"
    (noisy / "JPEGImages/480p/c").rename(noisy / "JPEGImages/480p/e")
    (lists / "val.txt").write_text("e\n")
    again = pack(splits_of(FrameFolders(noisy)), packed)
    assert (again.films, again.new) == (4, 1)
    assert [film.name for film in Shards(packed).films("val")] == ["e"]


def test_bad_films_are_left_out_and_named(noisy, tmp_path):
    bad = noisy / "JPEGImages/480p/b/00009.jpg"
    bad.write_bytes(bad.read_bytes()[:-200])
    packed = pack(splits_of(FrameFolders(noisy)), tmp_path / "shards")
    assert packed.films == 3
    (problem,) = packed.problems
    assert problem.startswith("b: ")
    assert str(bad) in problem
    for film, original in zip(
        Shards(tmp_path / "shards").films("train"), FrameFolders(noisy).films("train")[::2], strict=True
    ):
        assert all(np.array_equal(*pair) for pair in zip(film, original, strict=True))


def test_a_full_disk_keeps_the_films_packed_before(noisy, tmp_path, on_full_disk):
    said = on_full_disk(30_000, pack, splits_of(FrameFolders(noisy)), tmp_path / "s")
    assert said == (
        f"cannot write to {tmp_path / 's'}: File too large; the films packed so far are kept: run it again to go on"
    )
    (shard,) = (tmp_path / "s").glob("*.tar")
    with tarfile.open(shard) as tar:
        kept = {name.split("/")[0] for name in tar.getnames()}
    assert kept
    assert len(kept) < 4
    whole = pack(splits_of(FrameFolders(noisy)), tmp_path / "s")
    assert (whole.films, whole.new) == (4, 4 - len(kept))
    for film, original in zip(Shards(tmp_path / "s").films("train"), FrameFolders(noisy).films("train"), strict=True):
        assert all(np.array_equal(*pair) for pair in zip(film, original, strict=True))


def test_two_films_of_one_name_are_refused(noisy, tmp_path):
    other = tmp_path / "other/JPEGImages/480p"
    other.parent.mkdir(parents=True)
    (noisy / "JPEGImages/480p").rename(other)
    (noisy / "JPEGImages/480p/a").mkdir(parents=True)
    (noisy / "JPEGImages/480p/a/0.png").write_bytes(b"")
    with pytest.raises(UserError, match="two films are called a"):
        pack(
            {"train": [*Films(other).films("train"), *Films(noisy / "JPEGImages/480p").films("train")]}, tmp_path / "s"
        )


def test_shards_are_plain_tar_files_of_the_original_pictures(noisy, packed):
    found = {}
    for shard in packed.glob("*.tar"):
        with tarfile.open(shard) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    assert found == {
        f"{path.parent.name}/{path.name}": path.read_bytes() for path in (noisy / "JPEGImages/480p").glob("*/*.jpg")
    }
