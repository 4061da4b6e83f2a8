"""What the published MemFlow's checkpoints hold beside the weights that are used."""

from collections.abc import Container

import torch
from torch import nn

from flowchroma.models import MemFlow

# A table of relative positions that the published attention carries along and never reads.
_POSITIONS = {
    "att.pos_emb.rel_ind": torch.Size([160, 160]),
    "att.pos_emb.rel_height.weight": torch.Size([319, 128]),
    "att.pos_emb.rel_width.weight": torch.Size([319, 128]),
}


def published_extras(network: nn.Module, names: Container[str]) -> dict[str, torch.Size]:
    """Entries that a published checkpoint must have and the network has no place for.

    `cnet.layer{2,3}.0.norm3.*` is `cnet.layer{2,3}.0.downsample.1.*` under a second name: the published block registers
    its shortcut's norm twice. Loading assigns the second name last, so `downsample.1` is what counts, and only it is
    kept here. `att.pos_emb.*` is never read.

    Args:
        network: what is to be filled.
        names: the entries of the file.

    Returns:
        Their shapes, all of them as soon as `names` has one: a published checkpoint is whole or refused. Empty for our
        own files, and for other networks than MemFlow.
    """
    if not isinstance(network, MemFlow):
        return {}
    shapes = {k: v.shape for k, v in network.state_dict().items()}
    second = {k.replace(".downsample.1.", ".norm3."): v for k, v in shapes.items() if ".downsample.1." in k}
    extras = {**second, **_POSITIONS}
    return extras if any(name in names for name in extras) else {}
