"""The ceiling of all colorizers."""

from torch import Tensor

from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import Painter, lay_over, shrink


class Oracle(Painter):
    """The truth through the painter's own resizing and rounding: the best that any colorizer can reach in it.

    Args:
        size: as in `Painter`.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def start(self, *references: Tensor) -> None:
        """Keeps nothing."""

    def observe(self, rgb: Tensor) -> None:
        """Keeps nothing."""

    def paint(self, rgb: Tensor) -> Tensor:
        """The frame's own colours, made small and large again: (B, 3, H, W) uint8."""
        lab = rgb_to_lab(rgb)
        return lay_over(lab[:, :1], shrink(lab[:, 1:], self.size))
