"""VGG as a trunk that can be trained."""

from torch import Tensor, nn

from flowchroma.models.vgg import BLOCKS, conv_indices

_LAYERS = ("relu2_2", "relu3_2", "relu4_2", "relu5_2")
CHANNELS = (128, 256, 512, 512)


class VGGLevels(nn.Module):
    """torchvision's VGG to relu5_2: relu2_2, relu3_2, relu4_2 and relu5_2, at strides 2, 4, 8 and 16.

    Parameter names are torchvision's (`features.<i>.weight`).

    Args:
        arch: "vgg16" or "vgg19".
    """

    def __init__(self, arch: str) -> None:
        from torchvision.models.vgg import cfgs, make_layers  # slow to import, and only this trunk needs it

        super().__init__()
        if arch not in BLOCKS:
            raise ValueError(f"no network {arch!r}: choose one of {', '.join(BLOCKS)}")
        self.arch = arch
        indices = conv_indices(arch)
        self._ends = [indices[layer] + 1 for layer in _LAYERS]
        self.features = make_layers(cfgs["D" if arch == "vgg16" else "E"])[: self._ends[-1] + 1]

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """(B, 3, H, W), RGB, normalised as the weights expect, to four levels."""
        found = []
        for place, layer in enumerate(self.features):
            rgb = layer(rgb)
            if place in self._ends:
                found.append(rgb)
        return found
