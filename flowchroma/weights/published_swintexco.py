"""The published SwinTExCo's checkpoints: one file a network, in one folder."""

from collections.abc import Iterator
from pathlib import Path

from torch import nn

from flowchroma.errors import UserError
from flowchroma.models import SwinTExCo
from flowchroma.weights.cache import SUFFIXES

# What a file's name says of itself, and which of our parts it fills.
_PARTS = {"embed": "embed", "nonlocal": "warp", "colornet": "colornet"}


def published_files(network: nn.Module, where: str | Path) -> dict[str, Path]:
    """The files of a published checkpoint, by the part of the network that each fills.

    Args:
        network: what is to be filled.
        where: a folder with the three files, or one of the three.

    Returns:
        All three, or none: for other networks than SwinTExCo, and for our own files.

    Raises:
        UserError: one of the three is missing, or there are several of it.
    """
    path = Path(where)
    if not isinstance(network, SwinTExCo) or not path.exists():
        return {}
    if path.is_file() and not any(name in path.stem.lower() for name in _PARTS):
        return {}
    folder = path if path.is_dir() else path.parent
    found = {part: list(_named(folder, name)) for name, part in _PARTS.items()}
    if all(len(files) == 1 for files in found.values()):
        return {part: files[0] for part, files in found.items()}
    if path.is_dir() and any(found.values()):
        held = ", ".join(p.name for files in found.values() for p in files)
        raise UserError(f"{path} must hold one file each of embed, nonlocal and colornet: it has {held}")
    return {}


def _named(folder: Path, name: str) -> Iterator[Path]:
    return (p for p in sorted(folder.iterdir()) if p.suffix in SUFFIXES and name in p.stem.lower())
