"""A U-Net that computes at half of the frame's size."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.models.fusion.inputs import convs


class AdditiveUNet(nn.Module):
    """U-Net (Ronneberger et al., MICCAI 2015) with additive skips, over squares of two by two pixels.

    Its output is zero before training.

    Args:
        channels: of what it reads.
        outputs: channels of what it gives.
        width: channels at half size; doubled at each of the coarser scales.
        depth: number of times that grid is halved.
    """

    def __init__(self, channels: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.multiple = 2 ** (depth + 1)
        self.enter = nn.Sequential(Unshuffle(), *convs(4 * channels, width, width))
        self.down = nn.ModuleList(convs(a, b, b) for a, b in pairwise(widths))
        self.lift = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(convs(a, a) for a in widths[:-1])
        self.leave = nn.Conv2d(width, 4 * outputs, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def compute(self, inputs: Tensor) -> Tensor:
        """(B, channels, H, W), of any size, to (B, outputs, H, W)."""
        x, padding = ops.pad_to_multiple(inputs, self.multiple)
        skips = [self.enter(x)]
        for down in self.down:
            skips.append(down(F.avg_pool2d(skips[-1], 2)))
        x = skips.pop()
        for lift, up in zip(reversed(self.lift), reversed(self.up), strict=True):
            x = up(skips.pop() + F.interpolate(lift(x), scale_factor=2.0, mode="bilinear"))
        return padding.crop(F.pixel_shuffle(self.leave(x), 2))


class Unshuffle(nn.Module):
    """Squares of two by two pixels to channels.

    Attributes:
        memory_format: of what it gives: that in which the convolutions behind it are.
    """

    memory_format = torch.contiguous_format

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), even sides, to (B, 4 C, H / 2, W / 2)."""
        return ops.unshuffle(x).contiguous(memory_format=self.memory_format)
