"""The published checkpoints: MemFlow's hold more than is used, SwinTExCo's are three files in one folder."""

from collections.abc import Container, Iterator
from pathlib import Path

import torch
from torch import nn

from flowchroma.errors import UserError
from flowchroma.models import MemFlow, SwinTExCo
from flowchroma.weights.cache import SUFFIXES

# A table of relative positions that the published attention carries along and never reads.
_POSITIONS = {
    "att.pos_emb.rel_ind": torch.Size([160, 160]),
    "att.pos_emb.rel_height.weight": torch.Size([319, 128]),
    "att.pos_emb.rel_width.weight": torch.Size([319, 128]),
}
# What a file's name says of itself, and which of our parts it fills.
_PARTS = {"embed": "embed", "nonlocal": "warp", "colornet": "colornet"}


def published_extras(network: nn.Module, names: Container[str]) -> dict[str, torch.Size]:
    """Shapes of what a published checkpoint must have and the network has no place for.

    `cnet.layer{2,3}.0.norm3.*` is `cnet.layer{2,3}.0.downsample.1.*` under a second name: the published block registers
    its shortcut's norm twice. Loading assigns the second name last, so `downsample.1` is what counts, and only it is
    kept here. `att.pos_emb.*` is never read.

    All of them as soon as `names`, of a file, has one: a published checkpoint is whole or refused. None for our own
    files, and for other networks than MemFlow.
    """
    if not isinstance(network, MemFlow):
        return {}
    shapes = {k: v.shape for k, v in network.state_dict().items()}
    second = {k.replace(".downsample.1.", ".norm3."): v for k, v in shapes.items() if ".downsample.1." in k}
    extras = {**second, **_POSITIONS}
    return extras if any(name in names for name in extras) else {}


def published_files(network: nn.Module, where: str | Path) -> dict[str, Path]:
    """The files of a published checkpoint, by the part of the network that each fills.

    `where` is a folder with the three files, or one of the three. All three, or none: for other networks than
    SwinTExCo, and for our own files. A `UserError` where one of the three is missing, or there are several of it.
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
