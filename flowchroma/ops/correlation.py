"""All-pairs correlation and its lookup (Teed and Deng, RAFT, ECCV 2020, section 3.2)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops.warp import sample_at


class CorrelationPyramid:
    """How well every position of one frame fits every position of another, at several scales.

    Args:
        first: (B, C, h, w) features whose positions ask.
        second: (B, C, h, w) features that are searched.
        levels: number of scales; each halves the searched frame.
        radius: of the window that a lookup reads.

    The volume is float32 (float64 for float64 features), also under autocast.
    """

    def __init__(self, first: Tensor, second: Tensor, levels: int, radius: int) -> None:
        self.radius = radius
        batch, channels, height, width = first.shape
        with torch.autocast(first.device.type, enabled=False):
            dtype = torch.promote_types(first.dtype, torch.float32)
            a, b = first.to(dtype).flatten(2), second.to(dtype).flatten(2)
            volume = a.transpose(1, 2) @ b / channels**0.5
            volume = volume.reshape(batch * height * width, 1, height, width)
            self.levels = [volume]
            for _ in range(levels - 1):
                self.levels.append(F.avg_pool2d(self.levels[-1], 2, stride=2))

    def lookup(self, points: Tensor) -> Tensor:
        """Read a window around each position's present match.

        Args:
            points: (B, 2, h, w), (x, y) on the searched frame's grid.

        Returns:
            (B, levels * (2 * radius + 1)^2, h, w). Within a level, channel k is the offset
            (dx, dy) = (k // (2 * radius + 1) - radius, k % (2 * radius + 1) - radius), in pixels of that level.
        """
        batch, _, height, width = points.shape
        points = points.to(self.levels[0].dtype)
        steps = torch.arange(-self.radius, self.radius + 1, device=points.device, dtype=points.dtype)
        offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"))[None]
        centres = points.movedim(1, -1).reshape(-1, 2, 1, 1)
        read = []
        for scale, volume in enumerate(self.levels):
            window = sample_at(volume, centres / 2**scale + offsets, padding="zeros")
            read.append(window.view(batch, height, width, -1))
        return torch.cat(read, dim=-1).movedim(-1, 1)
