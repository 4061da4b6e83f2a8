"""Getting published sets: downloading their archives and unpacking what belongs to the set."""

import json
import shutil
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from flowchroma.data.sources.film_index import NOTES, write_json
from flowchroma.data.sources.films import FILM_SUFFIXES, find_films
from flowchroma.errors import UserError
from flowchroma.files.download import DownloadError, digest, download_file

_RECORD = f"{NOTES}/archives.json"
_TRIES = 5
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}

Show = Callable[[str, int, int | None], None]  # what is done, how far, of how much


@dataclass(frozen=True)
class Archive:
    """A zip archive with a set, or a part of one, in it; or a film.

    Args:
        url: where it is published.
        inside: folder in it whose content belongs to the set.
        into: folder under the set's root which gets that content.
        only: what is taken of it, by the first part of a path; nothing for all.
        checksum: MD5, SHA-1 or SHA-256 of the archive, hexadecimal; None where it is not known.
    """

    url: str
    inside: str = ""
    into: str = ""
    only: Sequence[str] = ()
    checksum: str | None = None

    def place(self, root: Path) -> Path:
        """Where the archive itself lies."""
        name = PurePosixPath(unquote(urlsplit(self.url).path)).name
        return root / self.into / name if Path(name).suffix.lower() in FILM_SUFFIXES else root / name

    def holders(self, root: Path) -> list[Path]:
        """What must be there once it is unpacked."""
        if self.place(root).suffix.lower() in FILM_SUFFIXES:
            return [self.place(root)]
        return [root / self.into / name for name in self.only] or [root / self.into]


def obtain(archives: Mapping[str, Archive], root: Path, show: Show = lambda what, done, of: None) -> list[str]:
    """Make sure that a set is there: download what is missing, check it, and unpack it.

    What was unpacked before, or put there by hand, is left as it is. What breaks off goes on from there the next time.

    Args:
        archives: by name.
        root: the set's folder.
        show: is told of progress.

    Returns:
        A line for each archive that was unpacked now.

    Raises:
        UserError: an archive cannot be had, is damaged or unsafe, or cannot be written to disk.
    """
    record = _read_record(root)
    begun = [path for archive in archives.values() for path in (archive.place(root), _part(archive.place(root)))]
    if not record and not any(path.exists() for path in begun) and root.is_dir() and find_films(root):
        return []
    lines = []
    for name, archive in archives.items():
        noted = record.get(name, {}).get("url") == archive.url
        if noted and all(path.exists() for path in archive.holders(root)):
            continue
        try:
            record[name] = _obtain_one(archive, root, show)
            write_json(root / _RECORD, record)
        except OSError as error:
            place = error.filename or root
            raise UserError(
                f"cannot write {place}: {error.strerror or error}; what is there is kept: make room and run it again"
            ) from error
        place = archive.place(root)
        lines.append(f"{place}: {record[name]['files']} files, SHA-256 {record[name]['sha256']}")
    return lines


def _obtain_one(archive: Archive, root: Path, show: Show) -> dict[str, object]:
    place = archive.place(root)
    try:
        download_file(
            archive.url,
            place,
            timeout=2.0,
            checksum=archive.checksum,
            tries=_TRIES,
            progress=lambda done, of: show(f"downloading {place.name}", done, of),
        )
    except DownloadError as error:
        raise UserError(
            f"cannot download {archive.url} ({error}): run this again to go on, or get the file by other means, put it"
            f" at {place}, and run this again"
        ) from error
    if archive.checksum:
        found = digest(place, _HASHES.get(len(archive.checksum), "sha256"))
        if found != archive.checksum.lower():
            raise UserError(f"the checksum of {place} is {found}, not {archive.checksum}: remove it and run this again")
    files = 1 if place.suffix.lower() in FILM_SUFFIXES else _unpack(archive, place, root, show)
    return {"url": archive.url, "bytes": place.stat().st_size, "sha256": digest(place), "files": files}


def _unpack(archive: Archive, place: Path, root: Path, show: Show) -> int:
    """Unpack what belongs to the set; each file appears whole, and its CRC has been checked."""
    try:
        with zipfile.ZipFile(place) as opened:
            members = _members(archive, opened, place)
            missing = [(info, root / path) for path, info in members.items() if _lacks(root / path, info.file_size)]
            room = shutil.disk_usage(root).free
            need = sum(info.file_size for info, _ in missing)
            if need > room:
                raise UserError(
                    f"unpacking {place} needs {need / 1e9:.1f} GB, and {root} has room for {room / 1e9:.1f} GB:"
                    " make room and run this again"
                )
            for number, (info, target) in enumerate(missing, 1):
                _write_member(opened, info, target)
                show(f"unpacking {place.name}", number, len(missing))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise UserError(f"{place} cannot be unpacked ({error}): remove it and run this again") from error
    return len(members)


def _write_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    part = _part(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as source, part.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        part.replace(target)
    except OSError as error:
        error.filename = str(target)  # a failing write does not say where to
        raise
    finally:
        part.unlink(missing_ok=True)


def _members(archive: Archive, opened: zipfile.ZipFile, place: Path) -> dict[Path, zipfile.ZipInfo]:
    """The files that belong to the set, by their path under its root.

    Raises:
        UserError: there are none, or one of them would leave the set's folder.
    """
    inside = PurePosixPath(archive.inside).parts
    found = {}
    for info in opened.infolist():
        parts = PurePosixPath(info.filename).parts
        if stat.S_ISLNK(info.external_attr >> 16) or "\\" in info.filename or {"..", "/"} & set(parts):
            raise UserError(f"{place} holds {info.filename}, which could lie outside its folder: it is not unpacked")
        if info.is_dir() or parts[: len(inside)] != inside:
            continue
        rest = parts[len(inside) :]
        if not archive.only or rest[0] in archive.only:
            found[Path(archive.into, *rest)] = info
    if not found:
        top = sorted({info.filename.split("/")[0] for info in opened.infolist()})
        raise UserError(
            f"{place} has no files under {archive.inside or '/'}: it holds {', '.join(top[:5]) or 'nothing'}"
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
