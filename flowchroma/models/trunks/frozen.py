"""Networks with pretrained weights that nothing trains."""

from typing import Self

from torch import Tensor, nn


class FrozenTrunk(nn.Module):
    """Features of images by name, from a network whose weights ship by themselves: checkpoints leave them out.

    Attributes:
        channels: of its levels, by name, the finest first.
    """

    channels: dict[str, int]

    def freeze(self) -> None:
        """Take the weights out of training, at NaN: only loaded ones give features."""
        for parameter in self.parameters():
            nn.init.constant_(parameter, float("nan")).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode, whatever is asked."""
        return super().train(False)

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W), sRGB in [0, 1], to levels by name, each (B, C, h, w)."""
        raise NotImplementedError
