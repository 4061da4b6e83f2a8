"""Checkpoints on disk: written whole or not at all, read without running what they hold."""

import io
import os
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from flowchroma.errors import UserError

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place, waits until the disk has it, and renames it; keeps the one before the last.

    Whenever a process or a machine dies, `last.ckpt` or else `previous.ckpt` is whole.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            UserError: the disk is full, or the folder cannot be written; what was there before is untouched.
        """
        path = Path(path)
        side = path.with_name(f"{path.name}.part")
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with side.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if path.name == LAST and path.exists():
                path.replace(path.with_name(PREVIOUS))
            side.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            side.unlink(missing_ok=True)
            raise UserError(
                f"{path} cannot be written: {error.strerror or error}; what was written before is whole."
                " Make room, then go on with resume=last"
            ) from error

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Read a checkpoint; code in it is never run, whatever `weights_only` says.

        Raises:
            UserError: there is none, it is damaged, or it holds more than tensors and plain values.
        """
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """See `CheckpointFiles.load_checkpoint`."""
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


def _sync_folder(folder: Path) -> None:
    """Let a renaming reach the disk, where folders can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
