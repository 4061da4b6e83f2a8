"""The hidden folder beside an output that keeps what is done of it."""

import hashlib
import json
import os
import re
import shutil
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flowchroma.errors import UserError
from flowchroma.files.durable import rename_durably, sync, write_durably
from flowchroma.film.targets import writing

_FORMAT = 1  # of what lies in the folder; another one is not read
_LONGEST = 255  # bytes of a file's name
_OPENING = 10.0  # seconds that a process may take to open the folder before another gives up
_CHUNK = 1 << 20
_NAME = re.compile(r"([0-9]+)-([0-9]+)-([A-Za-z0-9_-]+)")
_JOB, _INDEX, _DONE, _JOINED = "job.json", "index.json", "done.json", "joined.json"
_SEGMENTS, _LOCKS, _OLD = "segments", "locks", ".old"


class TakenError(UserError):
    """Another process writes this segment, or has just written it."""


class Work:
    """What is kept of an output that is not whole: what it is made of, and segments, each in a folder of its own.

    Args:
        target: The output.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.absolute().with_name(_hidden(target.absolute().name))
        self._old = self.path.with_name(f"{self.path.name}{_OLD}")
        self._checked: set[str] = set()  # segments that were read whole by this process

    @contextmanager
    def opened(self, job: Mapping[str, Any], film: Mapping[str, Any], anew: bool, shared: bool) -> Iterator[None]:
        """Hold the folder: made, or gone on with where it was begun with the same job.

        Args:
            job: What changes frames or how they are encoded: names as the user gives them, values that JSON holds.
            film: What tells the source from others.
            anew: Begin anew where the folder is of another job.
            shared: Let other processes work in it too.

        Raises:
            UserError: Another process holds it, or it was begun with another job.
        """
        lock = self._held(_OPENING if shared else 0)
        try:
            with writing(self.target):
                self._begin({"format": _FORMAT, "job": _plain(job), "film": _plain(film)}, anew)
            if shared:
                lock.release()
            yield
        finally:
            if not shared and not self.frames():
                self.remove()
            lock.release()

    @property
    def is_there(self) -> bool:
        """Whether the folder was opened, and not removed since."""
        return (self.path / _JOB).exists()

    def frames(self) -> int:
        """How many frames of the film are kept, by the names of their segments."""
        try:
            found = [path for path in (self.path / _SEGMENTS).iterdir() if (path / _INDEX).exists()]
        except OSError:  # there is none, or another process removes it
            return 0
        spans = [_NAME.fullmatch(path.name) for path in found]
        return len(set().union(*(range(int(span[1]), int(span[2])) for span in spans if span)))

    def segment(self, name: str) -> Path:
        """Where the segment of a name lies, as `segment_name` gives it."""
        return self.path / _SEGMENTS / name

    def index(self, name: str) -> dict[str, Any] | None:
        """What is kept of a segment beside its files; None where it is not there, or not as it was written."""
        folder = self.segment(name)
        found = _read_json(folder / _INDEX)
        try:
            files = dict(found["files"]) if found else {}
            if name not in self._checked and any(_sum(folder / file) != tuple(files[file]) for file in files):
                return None
        except (OSError, TypeError, KeyError, ValueError):
            return None
        if files:
            self._checked.add(name)
        return found if files else None

    @contextmanager
    def written(self, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """A folder for a segment's files, and a mapping for what is to be kept beside them; named when the block ends.

        Raises:
            TakenError: Another process writes this segment.
        """
        with self.lock(name):
            partial = self.segment(f"{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            kept: dict[str, Any] = {}
            try:
                with writing(self.target):
                    partial.mkdir()
                yield partial, kept
                with writing(self.target):
                    self._name(partial, name, kept)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes from a name.

        Raises:
            TakenError: One of them has it.
        """
        lock = FileLock(self.path / _LOCKS / f"{name}.lock")
        with writing(self.target):
            (self.path / "locks").mkdir(exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise TakenError(f"another process writes {name} of {self.target}") from error
        try:
            if not self.is_there:
                self.remove()  # the lock alone made the folder again
                raise TakenError(f"another process has put {self.target} together")
            yield
        finally:
            lock.release()

    def note_done(self, made: Path) -> None:
        """Keep which film is about to be moved to the output's place."""
        write_durably(self.path / _DONE, json.dumps(_identity(made)))

    def note_joined(self, names: Sequence[str]) -> None:
        """Keep of which segments the film was made that is in the output's place, while they stay."""
        write_durably(self.path / _JOINED, json.dumps({"film": _identity(self.target), "segments": list(names)}))

    def has_joined(self, names: Sequence[str]) -> bool:
        """Whether what is in the output's place was made of these segments."""
        joined = _read_json(self.path / _JOINED)
        if joined is None or not self.target.exists():
            return False
        return joined == {"film": _identity(self.target), "segments": list(names)}

    def forget_done(self) -> None:
        """Remove the folder where the output came to its place, and the process was killed before it could do so."""
        shutil.rmtree(self._old, ignore_errors=True)
        if not self.target.exists() or _read_json(self.path / _DONE) != _identity(self.target):
            return
        try:
            lock = self._held(0)
        except UserError:  # another process is about to
            return
        self.remove()
        lock.release()

    def remove(self) -> None:
        """Remove all that is kept, for all processes at once."""
        self._checked.clear()
        shutil.rmtree(self._old, ignore_errors=True)
        with suppress(OSError):
            self.path.replace(self._old)
        for path in (self.path, self._old):
            shutil.rmtree(path, ignore_errors=True)

    def _held(self, timeout: float) -> FileLock:
        lock = FileLock(self.path / "job.lock")
        with writing(self.target):
            while not lock.is_locked:
                self.path.mkdir(parents=True, exist_ok=True)
                try:
                    lock.acquire(timeout=timeout)
                except Timeout as error:
                    raise UserError(
                        f"another process is making {self.target}: wait until it is done, or give another output"
                    ) from error
                if not Path(lock.lock_file).exists():  # removed with the folder, while this one waited
                    lock.release()
        return lock

    def _begin(self, wanted: dict[str, Any], anew: bool) -> None:
        begun = _read_json(self.path / _JOB)
        for name in (_SEGMENTS, _LOCKS):
            (self.path / name).mkdir(exist_ok=True)
        if begun == wanted:
            return
        if begun and begun.get("format") == _FORMAT and self.frames():
            if not anew:
                raise UserError(f"unfinished work on {self.target} was begun with {_changes(begun, wanted)}")
        elif self.frames():
            warnings.warn(f"unfinished work on {self.target} cannot be read: beginning anew", stacklevel=2)
        shutil.rmtree(self.path / _SEGMENTS, ignore_errors=True)
        (self.path / _SEGMENTS).mkdir(exist_ok=True)
        (self.path / _DONE).unlink(missing_ok=True)
        write_durably(self.path / _JOB, json.dumps(wanted, indent=1))

    def _name(self, partial: Path, name: str, kept: dict[str, Any]) -> None:
        files = sorted(path for path in partial.iterdir() if path.is_file())
        for file in files:
            sync(file)
        index = partial / _INDEX
        index.write_text(json.dumps({**kept, "files": {file.name: _sum(file) for file in files}}), encoding="utf-8")
        sync(index)
        place = self.segment(name)
        shutil.rmtree(place, ignore_errors=True)  # damaged
        rename_durably(partial, place)
        self._checked.add(name)


def segment_name(start: int, stop: int, key: str) -> str:
    """What the segment of frames [start, stop) is called that is made under `key`.

    Raises:
        ValueError: The key has other signs than letters, digits, - and _.
    """
    name = f"{start:08}-{stop:08}-{key}"
    if not _NAME.fullmatch(name) or len(key) > _LONGEST // 2:
        raise ValueError(f"a segment's key must be a short string of letters, digits, - and _, not {key!r}")
    return name


def _hidden(name: str) -> str:
    whole = f".{name}.flowchroma"
    if len(os.fsencode(whole + _OLD)) <= _LONGEST:
        return whole
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.flowchroma"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they come back from JSON."""
    return json.loads(json.dumps(dict(values), default=str))


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _changes(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What is not as it was, and what to do."""
    before, now = begun["job"], wanted["job"]
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if not names:
        return (
            f"the film {begun['film'].get('name')} as it was then: give another output, or overwrite=true to begin anew"
        )
    was, new = (", ".join(f"{name}={side.get(name, 'none')}" for name in names) for side in (before, now))
    return f"{was}, not {new}: give that again, another output, or overwrite=true to begin anew"


def _sum(path: Path) -> tuple[int, int]:
    """A file's bytes, and their checksum."""
    size = total = 0
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            size, total = size + len(block), zlib.crc32(block, total)
    return size, total


def _identity(path: Path) -> dict[str, int]:
    """What a rename does not change of a file or folder."""
    stat = path.stat()
    return {"device": stat.st_dev, "inode": stat.st_ino}
