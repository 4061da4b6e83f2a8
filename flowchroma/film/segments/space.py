"""Room on a disk."""

import shutil
from pathlib import Path

from flowchroma.errors import UserError


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin what a disk has no room for.

    Args:
        folder: Where it is to be written; it need not be there yet.
        needed: Bytes.

    Raises:
        UserError: The disk has fewer.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise UserError(
            f"no room in {folder}: {_size(needed)} are needed and {_size(free)} are free; "
            "make room, or give an output on another disk"
        )


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count:.0f} bytes"
        count /= 1000
    return f"{count:,.4g} TB"
