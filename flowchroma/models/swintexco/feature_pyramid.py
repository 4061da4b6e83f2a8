"""A pretrained trunk as a pyramid of four levels of features."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma.models.trunks.vgg import imagenet_normalized

_KEPT_SIZES = 4  # references, films and validation differ in size; more is rare


class FeaturePyramid(nn.Module):
    """Four levels of features of an RGB frame, from any pretrained trunk.

    Args:
        pretrained: returns at least four levels for RGB, the finest first; the last four are used.
        channels: of those four.
        normalize: whether RGB is normalised by ImageNet's mean and deviation first. The release does not.
        multiple: sides are resized to multiples of it.
        rebuild: builds the trunk for frames of another (height, width), with parameters of the same shapes. None for a
            trunk that takes any size.
        size: (height, width) that `pretrained` is built for; not used without `rebuild`.
    """

    def __init__(
        self,
        pretrained: nn.Module,
        channels: Sequence[int],
        normalize: bool = False,
        multiple: int = 1,
        rebuild: Callable[[tuple[int, int]], nn.Module] | None = None,
        size: tuple[int, int] = (224, 224),
    ) -> None:
        super().__init__()
        self.pretrained = pretrained
        self.channels = tuple(channels)
        self.normalize, self.multiple = normalize, multiple
        self._rebuild, self._size = rebuild, size
        self._resized: dict[tuple[int, int], nn.Module] = {}

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """(B, 3, H, W), sRGB in [0, 1], to four levels (B, C, h, w), the finest first, each on the trunk's own grid."""
        if self.normalize:
            rgb = imagenet_normalized(rgb)
        height, width = (-(-side // self.multiple) * self.multiple for side in rgb.shape[-2:])
        if (height, width) != rgb.shape[-2:]:
            rgb = F.interpolate(rgb, size=(height, width), mode="bilinear")
        levels = self._built_for((height, width))(rgb)[-len(self.channels) :]
        return [_channels_first(level, count) for level, count in zip(levels, self.channels, strict=True)]

    def _built_for(self, size: tuple[int, int]) -> nn.Module:
        """The trunk for frames of a size: what depends on position is built anew, the parameters are the same."""
        if self._rebuild is None or size == self._size:
            return self.pretrained
        if size not in self._resized:
            trunk = self._rebuild(size)
            like = next(self.pretrained.parameters())
            _share(self.pretrained, trunk.to(device=like.device, dtype=like.dtype))
            while len(self._resized) >= _KEPT_SIZES:
                self._resized.pop(next(iter(self._resized)))
            self._resized[size] = trunk
        return self._resized[size].train(self.training)

    def _apply(self, *args: Any, **kwargs: Any) -> "FeaturePyramid":
        self._resized.clear()  # they would keep tensors of the former device or precision
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """Copies build their own."""
        return {**self.__dict__, "_resized": {}}


def _channels_first(level: Tensor, channels: int) -> Tensor:
    """Some trunks have their channels last."""
    return level if level.shape[1] == channels else level.permute(0, 3, 1, 2)


def _share(source: nn.Module, target: nn.Module) -> None:
    """Give `target` the very parameters of `source`, and those buffers that are saved with them."""
    theirs = dict(target.named_modules())
    saved = source.state_dict().keys()
    for name, module in source.named_modules():
        theirs[name]._parameters.update(module._parameters)
        prefix = f"{name}." if name else ""
        theirs[name]._buffers.update({k: v for k, v in module._buffers.items() if prefix + k in saved})
