import hashlib
import http.server
import re
import subprocess
import sys

import pytest

from flowchroma.files.download import DownloadError, digest, download_file

BODY = bytes(range(256)) * 4096  # 1 MiB


class RangeServer(http.server.SimpleHTTPRequestHandler):
    """Serves BODY with ranges and an ETag; `cuts` says after how many bytes each answer breaks off."""

    asked: list  # Range header of each request, or None
    cuts: list
    etag = '"one"'
    body = BODY

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        if wanted and self.headers.get("If-Range") != self.etag:
            start = 0
        if start >= len(self.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(self.body)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        rest = self.body[start:]
        self.wfile.write(rest[: self.cuts.pop(0)] if self.cuts else rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(serve):
    handler = type("Fresh", (RangeServer,), {"asked": [], "cuts": []})
    handler.url = f"{serve(handler)}/set.zip"
    return handler


def test_a_cut_connection_goes_on_where_it_stopped(server, tmp_path):
    server.cuts[:] = [300_000, 500_000]
    seen = []
    download_file(server.url, tmp_path / "a", tries=2, progress=lambda got, size: seen.append((got, size)))
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.asked == [None, "bytes=300000-", "bytes=800000-"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == ["a"]


def test_another_call_goes_on_where_the_last_one_stopped(server, tmp_path):
    server.cuts[:] = [300_000]
    with pytest.raises(DownloadError, match=f"only 300000 of {len(BODY)} bytes"):
        download_file(server.url, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    download_file(server.url, tmp_path / "a", checksum=hashlib.md5(BODY).hexdigest())
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.asked == [None, "bytes=300000-"]


def test_a_file_that_changed_meanwhile_is_not_spliced(server, tmp_path):
    server.cuts[:] = [300_000]
    with pytest.raises(DownloadError):
        download_file(server.url, tmp_path / "a")
    server.etag, server.body = '"two"', BODY[::-1]
    download_file(server.url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY[::-1]


def test_what_arrived_whole_before_a_kill_is_not_fetched_again(server, tmp_path):
    (tmp_path / "a.part").write_bytes(BODY)
    (tmp_path / "a.part.tag").write_text(server.etag)
    download_file(server.url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.asked == [f"bytes={len(BODY)}-"]


def test_a_connection_that_gains_nothing_is_given_up(server, tmp_path):
    server.cuts[:] = [1000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="only 1000 of"):
        download_file(server.url, tmp_path / "a", tries=3)
    assert len(server.asked) == 4


@pytest.mark.parametrize("kind", ["MD5", "SHA-1", "SHA-256"])
def test_a_wrong_checksum_leaves_nothing_to_go_on_from(server, tmp_path, kind):
    name = kind.replace("-", "").lower()
    true = hashlib.new(name, BODY).hexdigest()
    with pytest.raises(DownloadError, match=f"its {kind} is {true}, not 0"):
        download_file(server.url, tmp_path / "a", checksum="0" * len(true))
    assert [path.name for path in tmp_path.iterdir()] == ["a.lock"]
    download_file(server.url, tmp_path / "a", checksum=true)
    assert digest(tmp_path / "a", name) == true


def test_a_full_disk_keeps_what_is_there(server, tmp_path):
    # A limit on the size of files stands in for the disk's end, and must not hold for pytest itself.
    code = f"""
import resource, pathlib
from flowchroma.files.download import DownloadError, download_file
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    download_file({server.url!r}, pathlib.Path({str(tmp_path / "a")!r}))
except DownloadError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "File too large" in said
    assert (tmp_path / "a.part").stat().st_size == 400_000
    download_file(server.url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.asked[-1] == "bytes=400000-"
