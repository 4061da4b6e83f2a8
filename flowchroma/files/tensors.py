"""Tensors in files of safetensors."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from flowchroma.errors import UserError
from flowchroma.files.durable import rename_durably


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """Write contiguous tensors of the CPU, whole or not at all, readable for whom new files are.

    Args:
        path: its folder is made.
        tensors: by name.
        about: texts that the file holds beside.

    Raises:
        UserError: it cannot be written, as on a full disk; what was there before stays.
    """
    side = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        side.touch()
        mode = side.stat().st_mode
        save_file(dict(tensors), side, metadata=dict(about) if about else None)  # for its owner alone
        side.chmod(mode)
        rename_durably(side, path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            side.unlink()
        why = " ".join(str(error).split())
        raise UserError(f"{path} cannot be written ({why}): make room, or choose another folder") from error
