"""Checkpoints on disk: written whole or not at all, read without running what they hold."""

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from flowchroma.errors import UserError
from flowchroma.files.checkpoints import read_checkpoint

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place, waits until the disk has it, and renames it; keeps the one before the last.

    Whenever a process or a machine dies, `last.ckpt` or else `previous.ckpt` is whole.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; a `UserError` where that fails, and what was there before is untouched."""
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
        """Read a checkpoint by `read_checkpoint`, whatever `weights_only` says."""
        return read_checkpoint(Path(path))


def _sync_folder(folder: Path) -> None:
    """Let a renaming reach the disk, where folders can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
