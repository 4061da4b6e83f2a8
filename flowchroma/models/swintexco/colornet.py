"""ColorVidNet: matched colour completed, given the frame before (Zhang et al., CVPR 2019)."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops

CHANNELS = 7  # L, matched ab, similarity, and L, a, b of the frame before
_RANGE = 128.0  # of ab
# Stage by stage: channels of each convolution, and its dilation.
_ENCODER: dict[int, tuple[Sequence[int], int]] = {
    1: ((64, 64), 1),
    2: ((128, 128), 1),
    3: ((256, 256, 256), 1),
    4: ((512, 512, 512), 1),
    5: ((512, 512, 512), 2),
    6: ((512, 512, 512), 2),
    7: ((512, 512, 512), 1),
}
_DECODER: dict[int, Sequence[int]] = {8: (256, 256, 256), 9: (128, 128), 10: (128, 128)}
_SKIPS = {8: "conv3_3", 9: "conv2_2", 10: "conv1_2"}  # the encoder's output that each decoder stage adds


class ColorVidNet(nn.Module):
    """The published network; parameters have the published names."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 64
        self.conv1_1 = nn.Sequential(Conv(CHANNELS, 32), nn.ReLU(), Conv(32, 64))
        for stage, (widths, dilation) in _ENCODER.items():
            for place, (before, width) in enumerate(pairwise((inputs, *widths)), start=1):
                if (stage, place) != (1, 1):
                    self.add_module(f"conv{stage}_{place}", Conv(before, width, dilation))
                self.add_module(f"relu{stage}_{place}", nn.PReLU())
            inputs = widths[-1]
            if stage < 4:
                self.add_module(f"conv{stage}_{len(widths)}norm_ss", Halve(inputs))
        for stage, widths in _DECODER.items():
            skip = self.get_submodule(f"{_SKIPS[stage]}norm_ss")
            assert isinstance(skip, Halve)
            # Place 0 of the published pair is the enlargement.
            self.add_module(f"conv{stage}_1", nn.ModuleDict({"1": ConvOfEnlarged(inputs, widths[0])}))
            self.add_module(f"{_SKIPS[stage]}_short", Conv(skip.channels, widths[0]))
            self.add_module(f"relu{stage}_1_comb", nn.PReLU())
            for place, (before, width) in enumerate(pairwise(widths), start=2):
                self.add_module(f"conv{stage}_{place}", Conv(before, width))
                if stage < 10:
                    self.add_module(f"relu{stage}_{place}", nn.PReLU())
            inputs = widths[-1]
        self.relu10_2 = nn.LeakyReLU(0.2)
        self.conv10_ab = nn.Conv2d(inputs, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Colour a frame, (B, 7, H, W) to its ab, (B, 2, H, W), in CIELAB units, sides multiples of 8.

        The 7 are L - 50, matched ab, similarity, and the frame before as L - 50 and ab, or zeros.
        """
        normed: dict[str, Tensor] = {}
        for stage, (widths, _) in _ENCODER.items():
            for place in range(1, len(widths) + 1):
                x = self._at(f"relu{stage}_{place}", self._at(f"conv{stage}_{place}", x))
            name = f"conv{stage}_{len(widths)}"
            x = _norm(x)
            if stage < 4:
                normed[name] = x
                x = self._at(f"{name}norm_ss", x)
        for stage, widths in _DECODER.items():
            x = self._at(f"conv{stage}_1.1", x) + self._at(f"{_SKIPS[stage]}_short", normed.pop(_SKIPS[stage]))
            x = self._at(f"relu{stage}_1_comb", x)
            for place in range(2, len(widths) + 1):
                x = self._at(f"relu{stage}_{place}", self._at(f"conv{stage}_{place}", x))
            x = x if stage == 10 else _norm(x)
        return _RANGE * self.conv10_ab(x).tanh()

    def _at(self, name: str, x: Tensor) -> Tensor:
        return self.get_submodule(name)(x)


class Halve(nn.Module):
    """Every second pixel, each channel weighed: a strided 1x1 convolution a channel, without the convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(nn.Conv2d(channels, channels, 1, groups=channels).weight.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / 2, W / 2)."""
        return x[..., ::2, ::2] * self.weight.view(-1, 1, 1)


class ConvOfEnlarged(nn.Conv2d):
    """3x3 convolution of what is enlarged twice by nearest neighbour."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, 2 H, 2 W)."""
        return ops.upsampled_conv(x, self.weight, self.bias)


class Conv(nn.Conv2d):
    """3x3 convolution that keeps the size."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        dilation = self.dilation[0]
        return ops.conv3x3(F.pad(x, (dilation,) * 4), self.weight, self.bias, dilation)


def _norm(x: Tensor) -> Tensor:
    """Instance norm: as groups of one channel it takes a quarter of the time on a CPU."""
    return F.group_norm(x, x.shape[1])
