"""Downloading a file of weights: at once or not at all."""

import hashlib
import http.client
import logging
import os
import queue
import re
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from filelock import FileLock

log = logging.getLogger(__name__)

_STALL = 30.0  # seconds without a byte before a running download is given up
_CHUNK = 1 << 20


class DownloadError(Exception):
    """A download that did not end in a whole and true file; its text is the reason."""


def download_file(url: str, target: Path, timeout: float = 3.0) -> None:
    """Download `url` to `target`, which appears only when whole.

    Several processes may ask for the same file: one downloads, the others wait and find it. There are no retries.

    Args:
        url: a file name such as `vgg19-dcbb9e9d.pth` gives the start of the content's SHA-256, which is then checked.
        target: left alone if it exists.
        timeout: seconds within which the server must answer, name resolution included.

    Raises:
        DownloadError: no answer in time, an error of the server, a truncated file, a wrong hash, a disk
            that is full or read-only.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.exists():
                _fetch(url, target, timeout)
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        raise DownloadError(str(reason) or type(reason).__name__) from error


def unreachable(url: str, timeout: float = 1.5) -> str:
    """Why no server answers at `url` within `timeout` seconds; empty if one does, whatever it says."""
    try:
        with _open(url, timeout):
            return ""
    except urllib.error.HTTPError:
        return ""
    except (DownloadError, OSError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        return str(reason) or type(reason).__name__


def _fetch(url: str, target: Path, timeout: float) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    side = Path(name)
    try:
        with os.fdopen(handle, "wb") as out, _open(url, timeout) as response:
            digest = _copy(response, out, url)
        promised = re.search(r"-([0-9a-f]{8,64})\.", url.rsplit("/", 1)[-1])
        if promised and not digest.startswith(promised[1]):
            raise DownloadError(f"its SHA-256 starts with {digest[:8]}, not {promised[1]}")
        side.chmod(0o644)  # mkstemp's files are for the owner alone; a cache may be shared
        side.replace(target)
    finally:
        side.unlink(missing_ok=True)


def _copy(response: http.client.HTTPResponse, out: IO[bytes], url: str) -> str:
    """Write the whole body to `out` and return its SHA-256."""
    size = int(response.headers.get("Content-Length", -1))
    log.info("downloading %s (%s)", url, f"{size / 1e6:.0f} MB" if size >= 0 else "size unknown")
    digest, got = hashlib.sha256(), 0
    while block := response.read(_CHUNK):
        out.write(block)
        digest.update(block)
        got += len(block)
    if size >= 0 and got != size:
        raise DownloadError(f"only {got} of {size} bytes arrived")
    return digest.hexdigest()


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    """Open `url`, in a thread of its own: no time-out of Python's bounds the resolution of a name."""
    answer: queue.Queue[http.client.HTTPResponse | Exception] = queue.Queue()

    def ask() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=_STALL))
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
