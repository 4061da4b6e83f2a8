"""Any frame size through a network that halves its input several times."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Padding:
    """Border pixels added on each side, and the way back."""

    left: int
    right: int
    top: int
    bottom: int

    def crop(self, image: Tensor) -> Tensor:
        """Cut (..., H, W) back to the size before padding."""
        height, width = image.shape[-2:]
        return image[..., self.top : height - self.bottom, self.left : width - self.right]

    def add(self, image: Tensor) -> Tensor:
        """Repeat the border of (B, C, H, W): `crop` backward."""
        sides = (self.left, self.right, self.top, self.bottom)
        return F.pad(image, sides, mode="replicate") if any(sides) else image


def pad_to_multiple(image: Tensor, multiple: int, at_least: int = 0) -> tuple[Tensor, Padding]:
    """Repeat the border until both sides are multiples of `multiple` and no smaller than `at_least`.

    Args:
        image: (B, C, H, W).
        multiple: in pixels.
        at_least: in pixels.

    Returns:
        The padded image, (B, C, H', W'), the original in its centre, and its Padding.
    """

    def missing(side: int) -> int:
        return -(-max(side, at_least) // multiple) * multiple - side

    rows, columns = missing(image.shape[-2]), missing(image.shape[-1])
    padding = Padding(columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return padding.add(image), padding
