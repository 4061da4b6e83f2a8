"""Text files that a reader never finds half written."""

from pathlib import Path
from uuid import uuid4


def write_atomically(path: Path, text: str) -> None:
    """Write a temporary file beside `path` and rename it: a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(f".{path.name}.{uuid4().hex}.partial")  # another process may be writing the same one
    try:
        side.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
        side.replace(path)
    finally:
        side.unlink(missing_ok=True)
