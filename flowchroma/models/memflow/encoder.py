"""Residual encoders at an eighth of the frame (RAFT, ECCV 2020, appendix A)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flowchroma.models.memflow.architecture import Architecture

Norm = Callable[[int], nn.Module]


def fast(x: Tensor) -> Tensor:
    """In a CPU's fastest layout, channels last: large depthwise kernels take a tenth of the time."""
    return x.contiguous(memory_format=torch.channels_last if x.device.type == "cpu" else torch.contiguous_format)


class InstanceNorm(nn.GroupNorm):
    """Every channel of every frame normalised by itself: a quarter of the time of PyTorch's own on a CPU."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, affine=False)


NORMS: dict[str, Norm] = {"batch": nn.BatchNorm2d, "instance": InstanceNorm}


class ResidualBlock(nn.Module):
    """relu(x + relu(norm(conv(relu(norm(conv(x))))))), its shortcut a strided 1x1 convolution if the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, stride=stride)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norm1 = norm(outputs)
        self.norm2 = norm(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride), norm(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.relu(self.norm2(self.conv2(y)))
        return self.relu(self.downsample(x) + y)


class Encoder(nn.Module):
    """Features at an eighth of the frame.

    Args:
        architecture: gives channels, widths, blocks and strides.
        outputs: channels of the result.
        norm: builds a normalisation for a number of channels.
    """

    def __init__(self, architecture: Architecture, outputs: int, norm: Norm = InstanceNorm) -> None:
        super().__init__()
        inputs, widths, strides = architecture.channels, architecture.widths, architecture.strides
        self.conv1 = nn.Conv2d(inputs, widths[0], 7, stride=strides[0], padding=3)
        self.norm1 = norm(widths[0])
        self.relu = nn.ReLU(inplace=True)
        before = (widths[0], *widths[:-1])
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                ResidualBlock(inner, outer, stride, norm),
                *(ResidualBlock(outer, outer, 1, norm) for _ in range(architecture.blocks - 1)),
            )
            for inner, outer, stride in zip(before, widths, strides[1:], strict=True)
        )
        self.conv2 = nn.Conv2d(widths[-1], outputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, frame: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / 8, W / 8); H and W are multiples of 8."""
        x = self.relu(self.norm1(self.conv1(frame)))
        if not torch.is_grad_enabled():  # the gradient of PyTorch's group norm fails on that layout
            x = fast(x)
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))
