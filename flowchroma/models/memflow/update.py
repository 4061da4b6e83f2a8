"""The networks of one iteration: correlation, flow and memory to a new hidden state, and from it to a flow."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma.models.memflow.architecture import STRIDE, Architecture


class Gelu(nn.Module):
    """x * Phi(x); a CPU takes an eighth of the time for what is contiguous in the order of its axes."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        if x.is_contiguous(memory_format=torch.channels_last):
            return F.gelu(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return F.gelu(x)


class Pointwise(nn.Conv2d):
    """1x1 convolution.

    With channels last it is one matrix product, which takes a CPU a quarter of the time of a convolution whose widths
    16 does not divide.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h, w)."""
        if x.is_contiguous(memory_format=torch.channels_last):
            return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        return super().forward(x)


class Depthwise(nn.Conv2d):
    """Convolution of every channel by itself, its size kept."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) to the same shape."""
        if self.kernel_size == (1, 1) and self.bias is not None:
            return x * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)
        return super().forward(x)


class ConvBlock(nn.Module):
    """Pointwise mixing around large depthwise kernels (the PC block of SKFlow, Sun et al., NeurIPS 2022).

    Args:
        inputs: channels in.
        outputs: channels out.
        kernels: sizes of the depthwise kernels.
        expansion: width of the two pointwise feed-forward parts, in multiples of `inputs`.
    """

    def __init__(self, inputs: int, outputs: int, kernels: Sequence[int], expansion: float) -> None:
        super().__init__()
        inner = int(expansion * inputs)
        self.conv_list = nn.ModuleList(Depthwise(inputs, kernel) for kernel in kernels)
        self.ffn1 = nn.Sequential(Pointwise(inputs, inner), Gelu(), Pointwise(inner, inputs))
        self.pw = Pointwise(inputs, inputs)
        self.gelu = Gelu()
        self.ffn2 = nn.Sequential(Pointwise(inputs, inner), Gelu(), Pointwise(inner, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h, w)."""
        x = self.gelu(x + self.ffn1(x))
        for conv in self.conv_list:
            x = self.gelu(x + conv(x))
        return self.ffn2(self.gelu(x + self.pw(x)))


class MotionEncoder(nn.Module):
    """Correlation and flow to motion features, the flow itself among them.

    Args:
        architecture: gives the channels of a lookup and of the result, the layers' widths and the kernel.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c1, c2, f1, f2 = architecture.motion_widths
        kernels, expansion = (1, architecture.kernels[0]), architecture.expansion
        self.convc1 = ConvBlock(architecture.correlations, c1, kernels, expansion)
        self.convc2 = ConvBlock(c1, c2, kernels, expansion)
        self.convf1 = Pointwise(2, f1)
        self.convf2 = ConvBlock(f1, f2, kernels, expansion)
        self.conv = ConvBlock(c2 + f2, architecture.hidden - 2, kernels, expansion)
        self.gelu = Gelu()

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        """(B, 2, h, w), in coarse pixels, and a lookup (B, correlations, h, w) to (B, hidden, h, w)."""
        c = self.convc2(self.gelu(self.convc1(correlation)))
        f = self.convf2(self.convf1(flow))
        return torch.cat([self.conv(torch.cat([c, f], dim=1)), flow], dim=1)


class Aggregator(nn.Module):
    """Values of the attention over the memory, and the weight of what is read; the weight starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_v = Pointwise(channels, channels, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))


class Update(nn.Module):
    """What every update has: motion encoder, recurrent unit and memory. A subclass adds them in their published order.

    Args:
        architecture: see `Architecture`.
    """

    aggregator: Aggregator

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        hidden = architecture.hidden
        self.encoder = MotionEncoder(architecture)
        self.gru = ConvBlock(4 * hidden, hidden, (1, architecture.kernels[1]), architecture.expansion)


class HiddenUpdate(Update):
    """Updates the hidden state alone."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.aggregator = Aggregator(architecture.hidden)


class FlowUpdate(Update):
    """Updates the hidden state, corrects the flow from it, and gives the weights of its convex upsampling.

    Args:
        architecture: see `Architecture`.
        mask_width: hidden channels of the upsampling weights.
    """

    def __init__(self, architecture: Architecture, mask_width: int) -> None:
        super().__init__(architecture)
        hidden = architecture.hidden
        self.flow_head = ConvBlock(hidden, 2, (1, architecture.kernels[0]), architecture.expansion)
        self.mask = nn.Sequential(
            nn.Conv2d(hidden, mask_width, 3, padding=1), nn.ReLU(), Pointwise(mask_width, 9 * STRIDE**2)
        )
        self.aggregator = Aggregator(hidden)
        # An untrained network leaves its first flow as it is.
        for parameter in self.flow_head.ffn2[-1].parameters():
            nn.init.zeros_(parameter)

    def upsampling_weights(self, hidden: Tensor) -> Tensor:
        """(B, hidden, h, w) to (B, 9, 8, 8, h, w), summing to 1 over the nine neighbours."""
        # The quarter balances gradients between the flow and the weights (RAFT).
        logits = 0.25 * self.mask(hidden)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return torch.softmax(logits.unflatten(1, (9, STRIDE, STRIDE)), dim=1)
