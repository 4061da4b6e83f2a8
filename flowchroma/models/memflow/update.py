"""The recurrent update: what one iteration makes of the correlation, the flow and the memory."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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

    def __init__(self, inputs: int, outputs: int, kernels: tuple[int, ...], expansion: float) -> None:
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
        correlation: channels of a lookup.
        widths: of the first and second correlation layer, and the first and second flow layer.
        outputs: channels of the result.
        kernel: largest depthwise kernel.
        expansion: see `ConvBlock`.
    """

    def __init__(
        self, correlation: int, widths: tuple[int, int, int, int], outputs: int, kernel: int, expansion: float
    ) -> None:
        super().__init__()
        c1, c2, f1, f2 = widths
        self.convc1 = ConvBlock(correlation, c1, (1, kernel), expansion)
        self.convc2 = ConvBlock(c1, c2, (1, kernel), expansion)
        self.convf1 = Pointwise(2, f1)
        self.convf2 = ConvBlock(f1, f2, (1, kernel), expansion)
        self.conv = ConvBlock(c2 + f2, outputs - 2, (1, kernel), expansion)
        self.gelu = Gelu()

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        """(B, 2, h, w) and (B, correlation, h, w) to (B, outputs, h, w)."""
        c = self.convc2(self.gelu(self.convc1(correlation)))
        f = self.convf2(self.convf1(flow))
        return torch.cat([self.conv(torch.cat([c, f], dim=1)), flow], dim=1)


class Aggregator(nn.Module):
    """What the memory adds to the motion features, through a gate that starts closed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_v = Pointwise(channels, channels, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))


class Update(nn.Module):
    """One iteration's networks.

    Args:
        correlation: channels of a lookup.
        hidden: channels of the hidden state, of the context and of the motion features.
        widths: see `MotionEncoder`.
        mask_width: hidden channels of the upsampling weights; None for an update of the hidden state alone, which
            leaves it to others to move and to enlarge the flow.
        kernels: largest depthwise kernel of the motion encoder and flow head, and of the recurrent unit.
        expansion: see `ConvBlock`.
        factor: enlargement from the coarse grid to pixels.
    """

    def __init__(
        self,
        correlation: int,
        hidden: int,
        widths: tuple[int, int, int, int],
        mask_width: int | None,
        kernels: tuple[int, int],
        expansion: float,
        factor: int = 8,
    ) -> None:
        super().__init__()
        self.factor = factor
        self.encoder = MotionEncoder(correlation, widths, hidden, kernels[0], expansion)
        self.gru = ConvBlock(4 * hidden, hidden, (1, kernels[1]), expansion)
        self.flow_head: ConvBlock | None = None
        if mask_width is not None:
            self.flow_head = ConvBlock(hidden, 2, (1, kernels[0]), expansion)
            self.mask = nn.Sequential(
                nn.Conv2d(hidden, mask_width, 3, padding=1), nn.ReLU(), Pointwise(mask_width, 9 * factor**2)
            )
        self.aggregator = Aggregator(hidden)

    def upsampling_weights(self, hidden: Tensor) -> Tensor:
        """(B, hidden, h, w) to (B, 9, factor, factor, h, w), summing to 1 over the nine neighbours."""
        batch, _, height, width = hidden.shape
        # The quarter balances gradients between the flow and the weights (RAFT).
        logits = 0.25 * self.mask(hidden)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return torch.softmax(logits.reshape(batch, 9, self.factor, self.factor, height, width), dim=1)
