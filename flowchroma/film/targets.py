"""Where a film goes: what may be replaced there, and how it comes to its place."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowchroma.errors import UserError
from flowchroma.film.film import OpenedFilm

# Suffix of a film to the container written.
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a disk says that has no room


def target_of(path: str) -> tuple[Path, str | None]:
    """Where a film is written, and FFmpeg's name of its container; None for a folder of frames.

    Raises:
        UserError: Its suffix is no film's that can be written.
    """
    target = Path(path).expanduser()
    suffix = target.suffix.lower()
    if path.endswith(("/", os.sep)) or (target.is_dir() and suffix not in CONTAINERS) or not suffix:
        return target, None
    if suffix not in CONTAINERS:
        raise UserError(
            f"cannot write {target}: films end in {', '.join(CONTAINERS)}; "
            "for a folder of frames, give a name without a suffix or end it with /"
        )
    return target, CONTAINERS[suffix]


def refuse_overwriting(target: Path, container: str | None, like: OpenedFilm | None, overwrite: bool) -> None:
    """Refuse a place where something would be lost.

    Raises:
        UserError: It is the source itself, or there already, or holds other things than frames.
    """
    source = getattr(like, "path", None)
    if source is not None and target.exists() and target.samefile(source):
        raise UserError(f"the output {target} is the source itself: give it another name")
    if container and target.is_dir():
        raise UserError(f"cannot write the film {target}: a folder has that name; give it another one")
    if container and target.exists() and not overwrite:
        raise UserError(f"the output {target} is there already: give another name, or overwrite=true")
    if container or not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"the output {target} is a file: give another name, or remove it first")
    inside = list(target.iterdir())
    if inside and not overwrite:
        raise UserError(f"the output {target} is a folder that holds files: give another name, or overwrite=true")
    if any(file.suffix.lower() != ".png" or not file.is_file() for file in inside):
        raise UserError(f"the output {target} holds more than PNG frames: give another name, or remove it first")


def put(made: Path, target: Path) -> None:
    """Move a film that is whole to its place.

    Raises:
        OSError: It cannot be moved.
    """
    if target.is_dir():  # empty, or of frames that are to be replaced: not every system renames over it
        shutil.rmtree(target)
    made.replace(target)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Tell the user of what goes wrong in writing.

    Raises:
        UserError: It did.
    """
    from av.error import FFmpegError

    try:
        yield
    except (OSError, FFmpegError) as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from error
