"""Two small networks whose features match gray frames: EfficientNet-Lite0 and XFeat.

Both are convolutions alone: their batch normalization is folded into them when weights are loaded.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma.models.trunks.frozen import FrozenTrunk

# Of EfficientNet-Lite0's stages to stride 16: kernel, stride, expansion, channels, repeats.
_STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
_NAMES = {1: "lite4", 2: "lite8", 4: "lite16"}  # levels behind stages, by their strides
_LITE_EPS, _XFEAT_EPS = 1e-3, 1e-5  # of the batch normalization


class LightTrunk(FrozenTrunk):
    """EfficientNet-Lite0 to stride 16 (Tan and Le, ICML 2019) beside XFeat's dense part (Potje et al., CVPR 2024)."""

    def __init__(self) -> None:
        super().__init__()
        self.lite, self.xfeat = _Lite0(), _XFeat()
        self.channels = {"lite4": 24, "lite8": 40, "lite16": 112, "xfeat8": 64}
        self.freeze()

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        """Compute the features of images.

        Args:
            rgb: (B, 3, H, W), sRGB in [0, 1], H and W multiples of 16.

        Returns:
            "lite4", "lite8", "lite16" and "xfeat8", each (B, C, h, w) at the stride that it ends in.
        """
        return self.lite(rgb) | {"xfeat8": self.xfeat(rgb.mean(dim=1, keepdim=True))}

    def load_official(self, lite: Mapping[str, Tensor], xfeat: Mapping[str, Tensor]) -> None:
        """Load both by the names of their official checkpoints (efficientnet_lite_pytorch, accelerated_features).

        Raises:
            KeyError: a tensor is missing.
            RuntimeError: one has another shape.
        """
        with torch.no_grad():
            for network, state, eps in ((self.lite, lite, _LITE_EPS), (self.xfeat, xfeat, _XFEAT_EPS)):
                for conv, name, norm in network.named():
                    _load(conv, state, name, norm, eps)


class _Lite0(nn.Module):
    """No squeeze-and-excitation; ReLU6; TensorFlow's padding, which at stride 2 is all behind the image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _SameConv(3, 32, 3, stride=2)
        stages, channels = [], 32
        for kernel, stride, expansion, width, repeats in _STAGES:
            blocks = []
            for repeat in range(repeats):
                blocks.append(_InvertedResidual(channels, width, kernel, 1 if repeat else stride, expansion))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        x, found = F.relu6(self.stem((255 * rgb - 127) / 128)), {}
        for place, stage in enumerate(self.stages):
            x = stage(x)
            if place in _NAMES:
                found[_NAMES[place]] = x
        return found

    def named(self) -> Iterator[tuple[nn.Conv2d, str, str | None]]:
        """Each convolution, with the official names of it and of its normalization."""
        yield self.stem, "_conv_stem", "_bn0"
        blocks = [block for stage in self.stages for block in stage.children()]
        for place, block in enumerate(blocks):
            assert isinstance(block, _InvertedResidual)
            at = f"_blocks.{place}."
            if block.expand is not None:
                yield block.expand, f"{at}_expand_conv", f"{at}_bn0"
            yield block.depthwise, f"{at}_depthwise_conv", f"{at}_bn1"
            yield block.project, f"{at}_project_conv", f"{at}_bn2"


class _SameConv(nn.Conv2d):
    """TensorFlow's padding for even sides."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)
        self.before, self.behind = (kernel - 2) // 2, (kernel - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] == 2:
            x = F.pad(x, (self.before, self.behind, self.before, self.behind))
        return super().forward(x)


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Conv2d(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = _SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.adds else y


class _XFeat(nn.Module):
    """The dense descriptors of a gray image, at stride 8."""

    def __init__(self) -> None:
        super().__init__()
        self.skip = nn.Conv2d(1, 24, 1)
        self.block1 = _layers((1, 4, 1), (4, 8, 2), (8, 8, 1), (8, 24, 2))
        self.block2 = _layers((24, 24, 1), (24, 24, 1))
        self.block3 = _layers((24, 64, 2), (64, 64, 1), (64, 64, 0))
        self.block4 = _layers((64, 64, 2), (64, 64, 1), (64, 64, 1))
        self.block5 = _layers((64, 128, 2), (128, 128, 1), (128, 128, 1), (128, 64, 0))
        self.fuse = _layers((64, 64, 1), (64, 64, 1))
        self.last = nn.Conv2d(64, 64, 1)

    def forward(self, gray: Tensor) -> Tensor:
        gray = F.instance_norm(gray)
        x = self.block3(self.block2(self.block1(gray) + self.skip(F.avg_pool2d(gray, 4))))
        y = self.block4(x)
        z = self.block5(y)
        y, z = (F.interpolate(level, size=x.shape[-2:], mode="bilinear") for level in (y, z))
        return self.last(self.fuse(x + y + z))

    def named(self) -> Iterator[tuple[nn.Conv2d, str, str | None]]:
        """Each convolution, with the official names of it and of its normalization, if it has one."""
        yield self.skip, "skip1.1", None
        names = {f"block{n}": f"block{n}" for n in range(1, 6)} | {"fuse": "block_fusion"}
        for own, official in names.items():
            convs = [layer for layer in getattr(self, own) if isinstance(layer, nn.Conv2d)]
            for place, conv in enumerate(convs):
                yield conv, f"{official}.{place}.layer.0", f"{official}.{place}.layer.1"
        yield self.last, "block_fusion.2", None


def _layers(*parts: tuple[int, int, int]) -> nn.Sequential:
    """Convolutions with ReLU: channels in, channels out, and the stride of one of 3 x 3; 0 for one of 1 x 1."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in parts:
        kernel = 3 if stride else 1
        layers += [nn.Conv2d(inputs, outputs, kernel, stride or 1, padding=kernel // 2), nn.ReLU()]
    return nn.Sequential(*layers)


def _load(conv: nn.Conv2d, state: Mapping[str, Tensor], name: str, norm: str | None, eps: float) -> None:
    """Fill a convolution with its official weights and with the normalization behind it."""
    weight = state[f"{name}.weight"].float()
    assert conv.bias is not None
    if norm is None:
        conv.weight.copy_(weight)
        conv.bias.copy_(state[f"{name}.bias"])
        return
    mean, variance = (state[f"{norm}.running_{of}"].float() for of in ("mean", "var"))
    gain = state.get(f"{norm}.weight", torch.ones_like(mean)).float() * (variance + eps).rsqrt()
    conv.weight.copy_(weight * gain.view(-1, 1, 1, 1))
    conv.bias.copy_(state.get(f"{norm}.bias", torch.zeros_like(mean)).float() - gain * mean)
