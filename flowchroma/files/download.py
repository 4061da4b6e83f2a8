"""Downloading a file: whole and with the right checksum, or not at all."""

import hashlib
import http.client
import logging
import queue
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

log = logging.getLogger(__name__)

_STALL = 30.0  # seconds without a byte before a running download is given up
_CHUNK = 1 << 20
_HASHES = {32: "MD5", 40: "SHA-1", 64: "SHA-256"}  # by hexadecimal digits


class DownloadError(Exception):
    """A download that did not end in a whole file with the right checksum; its text is the reason."""


class _CutOffError(Exception):
    """A connection that ended before the file did."""


def download_file(
    url: str,
    target: Path,
    timeout: float = 3.0,
    *,
    checksum: str | None = None,
    tries: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> None:
    """Download `url` to `target`, which appears only when whole.

    What has arrived lies in `target`.part, and a later call goes on from there, if the server still has the same file.
    Several processes may ask for the same file: one downloads, the others wait and find it.

    Args:
        url: a file name such as `vgg19-dcbb9e9d.pth` gives the start of the content's SHA-256, which is then checked.
        target: left alone if it exists.
        timeout: seconds within which the server must answer, name resolution included.
        checksum: MD5, SHA-1 or SHA-256 of the content, hexadecimal; which of them is known by its length.
        tries: how often in a row the connection may be lost without a byte gained.
        progress: called with the bytes that are there, and how many there will be, None where the server does not say.

    Raises:
        DownloadError: no answer in time, an error of the server, a truncated file, a wrong hash, a disk
            that is full or read-only.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.exists():
                part = Path(f"{target}.part")
                _fetch(url, part, timeout, tries, progress)
                _check(url, part, checksum)
                part.replace(target)
                _version_file(part).unlink(missing_ok=True)
    except (_CutOffError, OSError, http.client.HTTPException) as error:
        raise DownloadError(_reason(error)) from error


def unreachable(url: str, timeout: float = 1.5) -> str:
    """Why no server answers at `url` within `timeout` seconds; empty if one does, whatever it says."""
    try:
        with _open(url, timeout):
            return ""
    except urllib.error.HTTPError:
        return ""
    except (DownloadError, OSError, http.client.HTTPException) as error:
        return _reason(error)


def digest(path: Path, kind: str = "sha256") -> str:
    """A file's hash, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _fetch(
    url: str, part: Path, timeout: float, tries: int, progress: Callable[[int, int | None], None] | None
) -> None:
    """Bring `part` to its full length."""
    fruitless = 0
    while True:
        before = _size(part)
        try:
            return _append(url, part, timeout, progress or (lambda got, size: None))
        except (_CutOffError, TimeoutError, ConnectionError, http.client.HTTPException):
            fruitless = 0 if _size(part) > before else fruitless + 1
            if tries == 1 or fruitless >= tries:
                raise


def _append(url: str, part: Path, timeout: float, progress: Callable[[int, int | None], None]) -> None:
    """Append what `part` lacks, or begin anew if the server has another file now."""
    version = _version_file(part)
    have = _size(part) if version.exists() else 0
    wanted = {"Range": f"bytes={have}-", "If-Range": version.read_text()} if have else {}
    try:
        response = _open(url, timeout, wanted)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{have}"):
            return
        response = _open(url, timeout)
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        got = have if resumed else 0
        rest = response.headers.get("Content-Length")
        size = got + int(rest) if rest is not None else None
        log.info("downloading %s (%s)", url, f"{size / 1e6:.0f} MB" if size is not None else "size unknown")
        if not resumed:
            part.unlink(missing_ok=True)
            _keep_version(version, response.headers)
        with part.open("ab") as out:
            # read1, as read would hold back what arrived before a cut
            while block := response.read1(_CHUNK):
                out.write(block)
                got += len(block)
                progress(got, size)
    if size is not None and got < size:
        raise _CutOffError(f"only {got} of {size} bytes arrived")


def _version_file(part: Path) -> Path:
    """Holds the ETag, or else the time of change, of the file on the server that `part` is a part of."""
    return Path(f"{part}.tag")


def _keep_version(version: Path, headers: http.client.HTTPMessage) -> None:
    tag = headers.get("ETag", "")
    if not tag or tag.startswith("W/"):  # a weak one does not promise the same bytes
        tag = headers.get("Last-Modified", "")
    if tag:
        version.write_text(tag)
    else:
        version.unlink(missing_ok=True)


def _check(url: str, part: Path, checksum: str | None) -> None:
    promised = re.search(r"-([0-9a-f]{8,64})\.", url.rsplit("/", 1)[-1])
    expected = (checksum or "").lower() or (promised[1] if promised else "")
    if not expected:
        return
    kind = _HASHES.get(len(expected), "SHA-256")
    found = digest(part, kind.replace("-", "").lower())
    if not found.startswith(expected):
        part.unlink()
        _version_file(part).unlink(missing_ok=True)
        shown = found if checksum else found[:8]
        raise DownloadError(f"its {kind} {'is' if checksum else 'starts with'} {shown}, not {expected}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    if type(error) is urllib.error.URLError:
        return str(error.reason)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _open(url: str, timeout: float, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """Open `url`, in a thread of its own: no time-out of Python's bounds the resolution of a name."""
    answer: queue.Queue[http.client.HTTPResponse | Exception] = queue.Queue()

    def ask() -> None:
        try:
            answer.put(urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=_STALL))
        except Exception as error:  # handed to the caller, who raises it
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        got = answer.get(timeout=timeout)
    except queue.Empty:
        raise DownloadError(f"no answer within {timeout:g} s") from None
    if isinstance(got, Exception):
        raise got
    return got
