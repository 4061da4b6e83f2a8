"""The network that tells real frames from coloured ones while SwinTExCo is trained."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from flowchroma.color import scale_ab, scale_luma

_GROWTH = (1, 1, 2, 4, 8, 16)  # of the width, layer by layer; each halves the frame
_LAST = 3  # pixels that the last convolution reads
SMALLEST = _LAST * 2 ** len(_GROWTH)


class SelfAttention(nn.Module):
    """x + gain * attention(x), over all positions; the gain is learned and starts at 0.

    Zhang et al., Self-Attention Generative Adversarial Networks, ICML 2019, equations 1 to 3, with queries and keys as
    wide as the values, as in SwinTExCo.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (spectral_norm(nn.Conv2d(channels, channels, 1)) for _ in range(3))
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        query, key, value = (part(x).flatten(2).transpose(1, 2) for part in (self.query, self.key, self.value))
        read = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gain * read.transpose(1, 2).unflatten(2, x.shape[-2:])


class Discriminator(nn.Module):
    """SwinTExCo's discriminator (Tran et al., 2025): tells real pairs of successive frames from coloured ones.

    Six 4x4 convolutions of stride 2, the second to sixth with instance norm, self-attention after the second, a 3x3
    convolution, and the mean over space. Every convolution is spectrally normalised (Miyato et al., Spectral
    Normalization for Generative Adversarial Networks, ICLR 2018). As in the published program its input is two frames,
    so that it judges flicker as well as colour.

    Args:
        frames: frames of one input.
        width: channels of the first layer; the last has 16 times as many.
    """

    def __init__(self, frames: int = 2, width: int = 64) -> None:
        super().__init__()
        self.frames = frames
        inputs = 3 * frames
        layers: list[nn.Module] = []
        for place, growth in enumerate(_GROWTH):
            conv = spectral_norm(nn.Conv2d(inputs, growth * width, 4, stride=2, padding=1))
            norm = [nn.InstanceNorm2d(growth * width)] if place else []
            layers.append(nn.Sequential(conv, *norm, nn.LeakyReLU(0.2)))
            inputs = growth * width
        layers.insert(2, SelfAttention(_GROWTH[1] * width))
        self.layers = nn.Sequential(*layers)
        self.last = spectral_norm(nn.Conv2d(inputs, 1, _LAST))

    def forward(self, lab: Tensor) -> Tensor:
        """Judge frames.

        Args:
            lab: (B, frames, 3, H, W), CIELAB, this frame first. A frame with a side below 192 pixels is enlarged to it,
                bilinearly: the last convolution would not find three pixels to read.

        Returns:
            (B,), higher for what looks more real.
        """
        scaled = torch.cat([scale_luma(lab[:, :, :1]), scale_ab(lab[:, :, 1:])], dim=2).flatten(1, 2)
        size = [max(side, SMALLEST) for side in lab.shape[-2:]]
        if size != list(lab.shape[-2:]):
            scaled = F.interpolate(scaled, size=size, mode="bilinear")
        with parametrize.cached():
            self._normalise(lab.device.type)
            return self.last(self.layers(scaled)).mean(dim=(1, 2, 3))

    def _normalise(self, device: str) -> None:
        """Compute every weight in float32, also under autocast: bfloat16 would blur the norms."""
        with torch.autocast(device, enabled=False):
            for module in self.modules():
                if parametrize.is_parametrized(module, "weight"):
                    _ = module.weight
