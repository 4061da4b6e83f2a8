import functools
import http.server
import os
import stat
import zipfile

import pytest

from flowchroma.data import Archive
from flowchroma.data.prepare.archives import fetch_archives
from flowchroma.errors import UserError
from flowchroma.files.download import digest

FILES = {
    "SET/JPEGImages/480p/a/00000.jpg": os.urandom(50_000),
    "SET/JPEGImages/480p/a/00001.jpg": os.urandom(50_000),
    "SET/ImageSets/2017/train.txt": b"a\n",
    "SET/Annotations/a.png": b"not asked for",
    "other/readme.txt": b"beside it",
}


@pytest.fixture
def zipped(tmp_path):
    """A set as it is published."""
    path = tmp_path / "served/set.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def server(zipped, serve):
    """Serves it; counts requests."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        asked, url = 0, ""

        def do_GET(self):
            Handler.asked += 1
            super().do_GET()

        def log_message(self, *_):
            pass

    Handler.url = f"{serve(functools.partial(Handler, directory=str(zipped.parent)))}/set.zip"
    return Handler


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def archive(url, **changes):
    return {"set": Archive(url, **{"inside": "SET", "only": ("JPEGImages", "ImageSets"), **changes})}


def files_in(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".flowchroma" not in path.parts and not path.name.startswith("set.zip")
    }


WANTED = {name.removeprefix("SET/"): data for name, data in FILES.items() if "/JPEG" in name or "/Image" in name}


def test_a_set_is_got_once(server, zipped, root):
    (line,) = fetch_archives(archive(server.url), root)
    assert line == f"{root / 'set.zip'}: 3 files, SHA-256 {digest(zipped)}"
    assert files_in(root) == WANTED
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert fetch_archives(archive(server.url), root) == []
    assert server.asked == 1
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_what_was_put_there_by_hand_is_left_alone(root, write_frames):
    write_frames(root / "JPEGImages/480p/a", 2)
    assert fetch_archives(archive("http://127.0.0.1:9/set.zip"), root) == []
    assert sorted(path.name for path in root.iterdir()) == ["JPEGImages"]


def test_an_archive_put_there_by_hand_is_unpacked(zipped, root):
    root.mkdir()
    zipped.rename(root / "set.zip")
    fetch_archives(archive("http://127.0.0.1:9/set.zip"), root)
    assert files_in(root) == WANTED


def test_unpacking_goes_on_where_it_stopped(server, root):
    def fail(what, done, of):
        if what.startswith("unpacking") and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_archives(archive(server.url), root, fail)
    first = root / "JPEGImages/480p/a/00000.jpg"
    written = first.stat().st_mtime_ns
    fetch_archives(archive(server.url), root)
    assert files_in(root) == WANTED
    assert first.stat().st_mtime_ns == written
    assert server.asked == 1


def test_without_a_network_it_says_at_once_what_to_do(root):
    place = root / "set.zip"
    with pytest.raises(UserError) as said:
        fetch_archives(archive("http://127.0.0.1:9/set.zip"), root)
    assert str(said.value) == (
        "cannot download http://127.0.0.1:9/set.zip ([Errno 111] Connection refused): run this again to go on, or get"
        f" the file by other means, put it at {place}, and run this again"
    )


def test_a_wrong_checksum_is_refused_wherever_the_archive_came_from(server, zipped, root):
    with pytest.raises(UserError, match=rf"its SHA-256 is {digest(zipped)}, not 0000"):
        fetch_archives(archive(server.url, checksum="0" * 64), root)
    assert files_in(root) == {}
    (root / "set.zip").write_bytes(zipped.read_bytes())
    with pytest.raises(UserError, match=rf"the checksum of {root}/set.zip is {digest(zipped, 'md5')}, not 1111"):
        fetch_archives(archive(server.url, checksum="1" * 32), root)
    assert files_in(root) == {}
    fetch_archives(archive(server.url, checksum=digest(zipped, "md5")), root)
    assert files_in(root) == WANTED


@pytest.mark.parametrize("name", ["../outside.txt", "SET/../../outside.txt", "/outside.txt", "SET\\..\\outside.txt"])
def test_nothing_is_written_outside_the_folder(zipped, root, name):
    root.mkdir()
    with zipfile.ZipFile(zipped, "a") as opened:
        opened.writestr(name, b"trap")
    zipped.rename(root / "set.zip")
    with pytest.raises(UserError, match="could lie outside its folder: it is not unpacked"):
        fetch_archives(archive("http://127.0.0.1:9/set.zip"), root)
    assert files_in(root) == {}
    assert not list(root.parent.rglob("outside*"))


def test_links_are_not_unpacked(zipped, root):
    root.mkdir()
    info = zipfile.ZipInfo("SET/JPEGImages/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(zipped, "a") as opened:
        opened.writestr(info, "/etc")
    zipped.rename(root / "set.zip")
    with pytest.raises(UserError, match="JPEGImages/link, which could lie outside"):
        fetch_archives(archive("http://127.0.0.1:9/set.zip"), root)


@pytest.mark.parametrize("damage", ["cut", "bit", "page"])
def test_a_damaged_archive_is_named(zipped, root, damage):
    root.mkdir()
    data = bytearray(zipped.read_bytes())
    if damage == "cut":
        data = data[:-500]
    elif damage == "bit":
        data[20_000] ^= 1
    else:
        data = b"<html>please log in</html>"
    (root / "set.zip").write_bytes(data)
    with pytest.raises(UserError, match=rf"{root}/set.zip cannot be unpacked \(.*\): remove it and run this again"):
        fetch_archives(archive("http://127.0.0.1:9/set.zip"), root)
    assert not list(root.rglob("*.jpg"))


def test_an_archive_of_something_else_says_what_it_holds(server, root):
    with pytest.raises(UserError, match="has no files under DAVIS: it holds SET, other"):
        fetch_archives(archive(server.url, inside="DAVIS"), root)


def test_no_room_is_said_before_anything_is_unpacked(server, root, monkeypatch):
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(UserError, match=rf"unpacking {root}/set.zip needs 0.0 GB, and {root} has room for"):
        fetch_archives(archive(server.url), root)
    assert files_in(root) == {}


def test_a_full_disk_names_the_file_and_keeps_what_is_there(zipped, root, on_full_disk):
    root.mkdir()
    zipped.rename(root / "set.zip")
    said = on_full_disk(40_000, fetch_archives, archive("http://127.0.0.1:9/set.zip"), root)
    assert said == (
        f"cannot write {root}/JPEGImages/480p/a/00000.jpg: File too large; what is there is kept: make room and run"
        " it again"
    )
    assert files_in(root) == {}
    fetch_archives(archive("http://127.0.0.1:9/set.zip"), root)
    assert files_in(root) == WANTED


def test_films_come_one_by_one(tmp_path, root):
    (tmp_path / "Koala%20bear.mp4").write_bytes(b"film")
    # A film is no archive: it is taken as it is.
    films = {"koala": Archive("http://127.0.0.1:9/films/Koala%20bear.mp4", into="test")}
    (root / "test").mkdir(parents=True)
    (tmp_path / "Koala%20bear.mp4").rename(root / "test/Koala bear.mp4")
    (line,) = fetch_archives(films, root)
    assert line.startswith(f"{root}/test/Koala bear.mp4: 1 files, SHA-256 ")
    assert fetch_archives(films, root) == []
