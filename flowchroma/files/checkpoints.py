"""Files that PyTorch wrote, read without running what they hold."""

import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from flowchroma.errors import UserError


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, running no code in it; a `UserError` where it is damaged, or holds such."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make a reader raise anything
        raise UserError(f"{path} cannot be read: {type(error).__name__}; {cause_of(error)}") from error


def cause_of(error: Exception) -> str:
    """Why PyTorch could not read a file."""
    # What PyTorch says of a pickle that asks for something to be called.
    foreign = isinstance(error, UnpicklingError) and "Unsupported" in str(error)
    return "it holds more than tensors, and code in a file is never run" if foreign else "it may be cut off"


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's file, by its checksums; None where it is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        return str(error) or type(error).__name__
    return None if broken is None else f"{broken} is damaged"
