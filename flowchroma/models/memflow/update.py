"""The recurrent update: what one iteration makes of the correlation, the flow and the memory."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
        self.conv_list = nn.ModuleList(nn.Conv2d(inputs, inputs, k, padding=k // 2, groups=inputs) for k in kernels)
        self.ffn1 = nn.Sequential(nn.Conv2d(inputs, inner, 1), nn.GELU(), nn.Conv2d(inner, inputs, 1))
        self.pw = nn.Conv2d(inputs, inputs, 1)
        self.ffn2 = nn.Sequential(nn.Conv2d(inputs, inner, 1), nn.GELU(), nn.Conv2d(inner, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h, w)."""
        x = F.gelu(x + self.ffn1(x))
        for conv in self.conv_list:
            x = F.gelu(x + conv(x))
        return self.ffn2(F.gelu(x + self.pw(x)))


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
        self.convf1 = nn.Conv2d(2, f1, 1)
        self.convf2 = ConvBlock(f1, f2, (1, kernel), expansion)
        self.conv = ConvBlock(c2 + f2, outputs - 2, (1, kernel), expansion)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        """(B, 2, h, w) and (B, correlation, h, w) to (B, outputs, h, w)."""
        c = self.convc2(F.gelu(self.convc1(correlation)))
        f = self.convf2(self.convf1(flow))
        return torch.cat([self.conv(torch.cat([c, f], dim=1)), flow], dim=1)


class Aggregator(nn.Module):
    """What the memory adds to the motion features, through a gate that starts closed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_v = nn.Conv2d(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))


class Update(nn.Module):
    """One iteration's networks.

    Args:
        correlation: channels of a lookup.
        hidden: channels of the hidden state, of the context and of the motion features.
        widths: see `MotionEncoder`.
        mask_width: hidden channels of the upsampling weights.
        kernels: largest depthwise kernel of the motion encoder and flow head, and of the recurrent unit.
        expansion: see `ConvBlock`.
        factor: enlargement from the coarse grid to pixels.
    """

    def __init__(
        self,
        correlation: int,
        hidden: int,
        widths: tuple[int, int, int, int],
        mask_width: int,
        kernels: tuple[int, int],
        expansion: float,
        factor: int = 8,
    ) -> None:
        super().__init__()
        self.factor = factor
        self.encoder = MotionEncoder(correlation, widths, hidden, kernels[0], expansion)
        self.gru = ConvBlock(4 * hidden, hidden, (1, kernels[1]), expansion)
        self.flow_head = ConvBlock(hidden, 2, (1, kernels[0]), expansion)
        self.mask = nn.Sequential(
            nn.Conv2d(hidden, mask_width, 3, padding=1), nn.ReLU(), nn.Conv2d(mask_width, 9 * factor**2, 1)
        )
        self.aggregator = Aggregator(hidden)

    def upsampling_weights(self, hidden: Tensor) -> Tensor:
        """(B, hidden, h, w) to (B, 9, factor, factor, h, w), summing to 1 over the nine neighbours."""
        batch, _, height, width = hidden.shape
        # The quarter balances gradients between the flow and the weights (RAFT).
        logits = 0.25 * self.mask(hidden)
        return torch.softmax(logits.float().view(batch, 9, self.factor, self.factor, height, width), dim=1)
