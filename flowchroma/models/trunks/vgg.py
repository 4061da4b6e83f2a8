"""Features of the VGG networks (Simonyan and Zisserman, ICLR 2015)."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma.models.trunks.frozen import FrozenTrunk

BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_LEVELS = ("relu2_2", "relu3_2", "relu4_2", "relu5_2")
LEVEL_CHANNELS = (128, 256, 512, 512)
_WIDTHS = (64, 128, 256, 512, 512)
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def conv_indices(arch: str) -> dict[str, int]:
    """Where torchvision's `features` keeps the convolution before each layer: {"relu1_1": 0, "relu1_2": 2, ...}."""
    indices, index = {}, 0
    for block, convs in enumerate(BLOCKS[arch], start=1):
        for conv in range(1, convs + 1):
            indices[f"relu{block}_{conv}"] = index
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling
    return indices


def nearest_layer(layer: str, available: Iterable[str]) -> str:
    """Of the available layers, that which serves as `layer`: itself, else the last of its block, else the deepest."""
    ordered = sorted(available)
    if layer in ordered:
        return layer
    same_block = [name for name in ordered if name.split("_")[0] == layer.split("_")[0]]
    return (same_block or ordered)[-1]


def imagenet_normalized(rgb: Tensor) -> Tensor:
    """(B, 3, H, W), sRGB in [0, 1], less ImageNet's mean, over its deviation."""
    mean, std = (rgb.new_tensor(v).view(3, 1, 1) for v in (_MEAN, _STD))
    return (rgb - mean) / std


class VGGFeatures(FrozenTrunk):
    """Frozen VGG, cut off behind the deepest layer that is asked for.

    Parameter names are torchvision's (`features.<i>.weight`), so that its weights fit. Parameters start at NaN: only
    loaded ones give features.

    Args:
        arch: "vgg16" or "vgg19".
        layers: what `forward` returns, as in ("relu1_2", "relu2_2").

    Raises:
        ValueError: if the network has no such layer.
    """

    def __init__(self, arch: str, layers: Sequence[str]) -> None:
        super().__init__()
        if arch not in BLOCKS:
            raise ValueError(f"no network {arch!r}: choose one of {', '.join(BLOCKS)}")
        indices = conv_indices(arch)
        if unknown := [layer for layer in layers if layer not in indices]:
            raise ValueError(f"{arch} has no layer {', '.join(unknown)}: it has {', '.join(indices)}")
        if not layers:
            raise ValueError("name at least one layer")
        self.arch = arch
        self.layers = tuple(sorted(set(layers)))
        depth = indices[self.layers[-1]]
        self._path = [(name, index) for name, index in indices.items() if index <= depth]
        self.features = nn.ModuleDict()
        channels = 3
        for name, index in self._path:
            width = _WIDTHS[int(name[4]) - 1]
            self.features[str(index)] = nn.Conv2d(channels, width, 3, padding=1)
            channels = width
        self.channels = {name: _WIDTHS[int(name[4]) - 1] for name in self.layers}
        self.freeze()

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        """Compute the features of images.

        Args:
            rgb: (B, 3, H, W), sRGB in [0, 1]; ImageNet's mean and deviation are applied here. H and W at least
                2^(b - 1) for block b.

        Returns:
            For each of `layers`, (B, C, h, w) after the ReLU; block b is at stride 2^(b - 1).
        """
        x, found = imagenet_normalized(rgb), {}
        for name, index in self._path:
            if name.endswith("_1") and index:
                x = F.max_pool2d(x, 2)
            x = torch.relu(self.features[str(index)](x))
            if name in self.layers:
                found[name] = x
        return found


class VGGLevels(nn.Module):
    """torchvision's VGG to relu5_2: relu2_2, relu3_2, relu4_2 and relu5_2, at strides 2, 4, 8 and 16.

    Parameter names are torchvision's (`features.<i>.weight`).
    """

    def __init__(self, arch: str) -> None:
        from torchvision.models.vgg import cfgs, make_layers  # slow to import, and only this trunk needs it

        super().__init__()
        if arch not in BLOCKS:
            raise ValueError(f"no network {arch!r}: choose one of {', '.join(BLOCKS)}")
        self.arch = arch
        indices = conv_indices(arch)
        self._ends = [indices[layer] + 1 for layer in _LEVELS]
        self.features = make_layers(cfgs["D" if arch == "vgg16" else "E"])[: self._ends[-1] + 1]

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """(B, 3, H, W), RGB, normalised as the weights expect, to four levels."""
        found = []
        for place, layer in enumerate(self.features):
            rgb = layer(rgb)
            if place in self._ends:
                found.append(rgb)
        return found
