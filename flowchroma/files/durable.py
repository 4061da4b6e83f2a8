"""Files and folders that are still there after a crash or a power cut."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


def sync(path: Path) -> None:
    """Have the disk hold what a file contains, or which names a folder has.

    Raises:
        OSError: A file cannot be written, as on a full disk.
    """
    if path.is_dir():
        with suppress(OSError):  # not every system opens folders
            _sync(path, os.O_RDONLY)
    else:
        _sync(path, os.O_RDWR)


def rename_durably(path: Path, target: Path) -> None:
    """Give a file, or a folder whose files are on the disk, its name: at any moment it has that name whole or not.

    Raises:
        OSError: It cannot be renamed.
    """
    sync(path)
    path.replace(target)
    sync(target.parent)


def write_durably(path: Path, text: str) -> None:
    """Write a text file that is there whole or not at all, also after a crash.

    Raises:
        OSError: It cannot be written.
    """
    side = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        side.write_text(text, encoding="utf-8")
        rename_durably(side, path)
    finally:
        side.unlink(missing_ok=True)


def _sync(path: Path, flags: int) -> None:
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)
