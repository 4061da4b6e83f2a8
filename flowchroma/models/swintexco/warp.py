"""WarpNet of SwinTExCo: features in which a frame and a reference are compared."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.models.swintexco.tokens import STRIDE, normalized

_WIDTH = 128  # channels of a branch
_DROPOUT = 0.2


class Conv(nn.Conv2d):
    """3x3 convolution with reflected border."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H / stride, W / stride)."""
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return ops.conv3x3(padded, self.weight, self.bias) if self.stride == (1, 1) else super().forward(padded)

    def on_grid(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Convolve x, (B, C, h, w), as enlarged to `grid` by nearest neighbour."""
        if grid == (2 * x.shape[2], 2 * x.shape[3]) and self.stride == (1, 1):
            return ops.upsampled_conv(x, self.weight, self.bias, border="reflect")
        return self(x if grid == x.shape[-2:] else F.interpolate(x, size=grid, mode="nearest"))


class Branch(nn.Sequential):
    """Two convolutions that bring one level to a quarter of the frame. Names are the published ones.

    The second has the stride; with `enlarge` the grid doubles before it.
    """

    def __init__(self, inputs: int, middle: int, stride: int = 1, enlarge: bool = False) -> None:
        second = 6 if enlarge else 5  # an enlargement of its own takes place 4
        parts = {
            1: Conv(inputs, middle),
            2: _norm(middle),
            3: nn.PReLU(),
            second: Conv(middle, _WIDTH, stride),
            second + 1: _norm(_WIDTH),
            second + 2: nn.PReLU(),
            second + 3: nn.Dropout(_DROPOUT),
        }
        super().__init__(OrderedDict((str(place), part) for place, part in parts.items()))
        self.enlarge = enlarge

    def forward(self, x: Tensor, grid: tuple[int, int], quarter: tuple[int, int]) -> Tensor:  # type: ignore[override]
        """(B, C, h, w), enlarged to `grid` first, to (B, 128, *quarter)."""
        first, norm, act, second, *rest = self
        assert isinstance(first, Conv)
        assert isinstance(second, Conv)
        # The norm takes away what all positions share; taken away before, it costs no digits in between. Nor does a
        # contiguous layout: PyTorch's norm of channels that lie last is an order less exact.
        own = (x - x.mean(dim=(2, 3), keepdim=True)).contiguous()
        x = act(norm(first.on_grid(own, grid)))
        x = second.on_grid(x, (2 * grid[0], 2 * grid[1]) if self.enlarge else grid)
        for part in rest:
            x = part(x)
        return x if x.shape[-2:] == quarter else F.interpolate(x, size=quarter, mode="nearest")


class Residual(nn.Module):
    """prelu(x + norm(conv(prelu(norm(conv(x)))))), with one slope for both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv(channels, channels), Conv(channels, channels)
        self.norm = _norm(channels)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        y = self.prelu(self.norm(self.conv1(x)))
        return self.prelu(x + self.norm(self.conv2(y)))


class WarpNet(nn.Module):
    """Levels of a frame, or of a reference, to unit vectors of `width` channels at a quarter of the frame."""

    def __init__(self, channels: Sequence[int], width: int = 256) -> None:
        super().__init__()
        fine, medium, coarse, deep = channels
        self.layer2_1 = Branch(fine, _WIDTH, stride=2)
        self.layer3_1 = Branch(medium, _WIDTH)
        self.layer4_1 = Branch(coarse, 2 * _WIDTH)
        self.layer5_1 = Branch(deep, 2 * _WIDTH, enlarge=True)
        self.layer = nn.Sequential(*(Residual(4 * _WIDTH) for _ in range(3)))
        self.theta = nn.Conv2d(4 * _WIDTH, width, 1)
        self.phi = nn.Conv2d(4 * _WIDTH, width, 1)

    def query(self, levels: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Vectors of a frame that is to be coloured, (B, 256, H / 4, W / 4), centred over the frame, of unit length.

        Levels are (B, C, h, w), the finest first, of unit length over the channels; H and W are multiples of 16.
        """
        return normalized(self.theta(self._shared(levels, size)))

    def key(self, levels: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Vectors of a reference; as `query`."""
        return normalized(self.phi(self._shared(levels, size)))

    def _shared(self, levels: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        branches = (self.layer2_1, self.layer3_1, self.layer4_1, self.layer5_1)
        quarter = (size[0] // STRIDE, size[1] // STRIDE)
        found = []
        for shift, (branch, level) in enumerate(zip(branches, levels, strict=True), start=1):
            grid = (size[0] >> shift, size[1] >> shift)
            found.append(branch(level, grid, quarter))
        return self.layer(torch.cat(found, dim=1))


def _norm(channels: int) -> nn.GroupNorm:
    """Instance norm: as groups of one channel it takes a quarter of the time on a CPU."""
    return nn.GroupNorm(channels, channels, affine=False)
