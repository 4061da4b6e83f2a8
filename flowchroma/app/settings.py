"""Where the configuration lies, which device computes, and how messages look."""

import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from flowchroma.errors import UserError

if TYPE_CHECKING:
    import torch

_PACKAGE = Path(__file__).parents[1]
# Beside the package in a checkout, inside it once installed.
HOME = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent
CONF = str(HOME / "conf")


def pick_device(name: str) -> "torch.device":
    """The device of that name, "auto" being the fastest there is; a `UserError` where there is none."""
    import torch  # takes seconds, which no command's help has to wait for

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, usable in there.items() if usable))
    if name.split(":")[0] not in there:
        raise UserError(f"unknown device {name}: give auto, cpu, cuda or mps", code=2)
    if not there[name.split(":")[0]]:
        raise UserError(f"device={name} is not there: give device=auto or device=cpu")
    return torch.device(name)


def configure_logging() -> None:
    """Print one line a message, and nothing of what the user cannot change."""
    logging.basicConfig(level=logging.WARNING, format="flowchroma: %(message)s")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*LeafSpec.*",
        ".*Checkpoint directory .* exists and is not empty.*",  # of a run that goes on
        ".*in eval mode at the start of training.*",  # frozen on purpose
        ".*your dataloader is not resumable.*",  # its sampler is
        ".*callbacks used to create the checkpoint.*",  # other settings of a callback are reported when a run resumes
        ".*`broadcast_buffers` is deprecated.*",  # older releases of PyTorch know no other name
        "Grad strides do not match bucket view strides.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    warnings.showwarning = lambda message, *_, **__: print(f"flowchroma: {message}", file=sys.stderr)
