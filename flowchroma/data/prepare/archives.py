"""Downloading the archives of published data sets, and unpacking them."""

import json
import shutil
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from flowchroma.data.sources.film_index import NOTES_FOLDER, write_json
from flowchroma.data.sources.films import find_films
from flowchroma.errors import UserError
from flowchroma.files.download import DownloadError, digest, download_file
from flowchroma.film.suffixes import FILM_SUFFIXES

_RECORD = f"{NOTES_FOLDER}/archives.json"
_TRIES = 5
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}

Progress = Callable[[str, int, int | None], None]  # called with what is done, how far it is, and of how much


@dataclass(frozen=True)
class Archive:
    """A zip archive that contains a data set, or a part of one; or a video file.

    Args:
        url: where it is published.
        inside: folder in the archive whose content is unpacked.
        into: folder under the set's root that it is unpacked to.
        only: names in `inside` that are unpacked; empty for all.
        checksum: MD5, SHA-1 or SHA-256 of the archive, hexadecimal; None to skip the check.
    """

    url: str
    inside: str = ""
    into: str = ""
    only: Sequence[str] = ()
    checksum: str | None = None

    def path(self, root: Path) -> Path:
        """Where the archive itself is stored."""
        name = PurePosixPath(unquote(urlsplit(self.url).path)).name
        return root / self.into / name if Path(name).suffix.lower() in FILM_SUFFIXES else root / name

    def expected(self, root: Path) -> list[Path]:
        """Files or folders that exist once it is unpacked."""
        if self.path(root).suffix.lower() in FILM_SUFFIXES:
            return [self.path(root)]
        return [root / self.into / name for name in self.only] or [root / self.into]


def fetch_archives(
    archives: Mapping[str, Archive], root: Path, show: Progress = lambda what, done, of: None
) -> list[str]:
    """Download the archives of a set that are missing, check them, and unpack them.

    What was unpacked before, or put there by hand, is left as it is. An interrupted download is continued next time.

    Args:
        archives: by name.
        root: the set's folder.
        show: called with the progress.

    Returns:
        A line for each archive that was unpacked now.

    Raises:
        UserError: an archive cannot be downloaded, is damaged or unsafe, or cannot be written to disk.
    """
    record = _read_record(root)
    begun = [path for archive in archives.values() for path in (archive.path(root), _part(archive.path(root)))]
    if not record and not any(path.exists() for path in begun) and root.is_dir() and find_films(root):
        return []
    lines = []
    for name, archive in archives.items():
        noted = record.get(name, {}).get("url") == archive.url
        if noted and all(path.exists() for path in archive.expected(root)):
            continue
        try:
            record[name] = _fetch_archive(archive, root, show)
            write_json(root / _RECORD, record)
        except OSError as error:
            path = error.filename or root
            raise UserError(
                f"cannot write {path}: {error.strerror or error}; what is there is kept: make room and run it again"
            ) from error
        path = archive.path(root)
        lines.append(f"{path}: {record[name]['files']} files, SHA-256 {record[name]['sha256']}")
    return lines


def _fetch_archive(archive: Archive, root: Path, show: Progress) -> dict[str, object]:
    path = archive.path(root)
    try:
        download_file(
            archive.url,
            path,
            timeout=2.0,
            checksum=archive.checksum,
            tries=_TRIES,
            progress=lambda done, of: show(f"downloading {path.name}", done, of),
        )
    except DownloadError as error:
        raise UserError(
            f"cannot download {archive.url} ({error}): run this again to go on, or get the file by other means, put it"
            f" at {path}, and run this again"
        ) from error
    if archive.checksum:
        found = digest(path, _HASHES.get(len(archive.checksum), "sha256"))
        if found != archive.checksum.lower():
            raise UserError(f"the checksum of {path} is {found}, not {archive.checksum}: remove it and run this again")
    files = 1 if path.suffix.lower() in FILM_SUFFIXES else _unpack(archive, path, root, show)
    return {"url": archive.url, "bytes": path.stat().st_size, "sha256": digest(path), "files": files}


def _unpack(archive: Archive, path: Path, root: Path, show: Progress) -> int:
    """Unpack the members that are wanted; each file appears when it is complete and its CRC has been checked."""
    try:
        with zipfile.ZipFile(path) as opened:
            members = _members(archive, opened, path)
            missing = [(info, root / name) for name, info in members.items() if _lacks(root / name, info.file_size)]
            room = shutil.disk_usage(root).free
            need = sum(info.file_size for info, _ in missing)
            if need > room:
                raise UserError(
                    f"unpacking {path} needs {need / 1e9:.1f} GB, and {root} has room for {room / 1e9:.1f} GB:"
                    " make room and run this again"
                )
            for number, (info, target) in enumerate(missing, 1):
                _write_member(opened, info, target)
                show(f"unpacking {path.name}", number, len(missing))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise UserError(f"{path} cannot be unpacked ({error}): remove it and run this again") from error
    return len(members)


def _write_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    part = _part(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as source, part.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        part.replace(target)
    except OSError as error:
        error.filename = str(target)  # the error of a failing write has none
        raise
    finally:
        part.unlink(missing_ok=True)


def _members(archive: Archive, opened: zipfile.ZipFile, path: Path) -> dict[Path, zipfile.ZipInfo]:
    """The members that are wanted, by their path under the set's root; none may lie outside it."""
    inside = PurePosixPath(archive.inside).parts
    found = {}
    for info in opened.infolist():
        parts = PurePosixPath(info.filename).parts
        if stat.S_ISLNK(info.external_attr >> 16) or "\\" in info.filename or {"..", "/"} & set(parts):
            raise UserError(f"{path} holds {info.filename}, which could lie outside its folder: it is not unpacked")
        if info.is_dir() or parts[: len(inside)] != inside:
            continue
        rest = parts[len(inside) :]
        if not archive.only or rest[0] in archive.only:
            found[Path(archive.into, *rest)] = info
    if not found:
        top = sorted({info.filename.split("/")[0] for info in opened.infolist()})
        raise UserError(
            f"{path} has no files under {archive.inside or '/'}: it holds {', '.join(top[:5]) or 'nothing'}"
        )
    return found


def _lacks(target: Path, size: int) -> bool:
    return not target.exists() or target.stat().st_size != size


def _part(path: Path) -> Path:
    return Path(f"{path}.part")


def _read_record(root: Path) -> dict[str, dict[str, object]]:
    try:
        record = json.loads((root / _RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
