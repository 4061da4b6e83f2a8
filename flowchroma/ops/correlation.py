"""Correlation of two frames' features and its lookup (Teed and Deng, RAFT, ECCV 2020, section 3.2)."""

from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from flowchroma.ops.warp import sample_at

# Bytes of features that are gathered at a time: a CPU works fastest from its caches, others in large pieces.
_GATHERED = {"cpu": 4 * 2**20}
_GATHERED_ELSEWHERE = 256 * 2**20


class Correlation(Protocol):
    """How well every position of one frame fits the positions of another, at several scales."""

    radius: int

    def lookup(self, points: Tensor) -> Tensor:
        """Read a window around each position's present match.

        Args:
            points: (B, 2, h, w), (x, y) on the searched frame's grid.

        Returns:
            (B, levels * (2 * radius + 1)^2, h, w). Within a level, channel k is the offset
            (dx, dy) = (k // (2 * radius + 1) - radius, k % (2 * radius + 1) - radius), in pixels of that level. Float32
            (float64 for float64 features), also under autocast.
        """


def correlate(first: Tensor, second: Tensor, levels: int, radius: int, volume_limit: float) -> Correlation:
    """Prepare lookups of the scalar products of features, divided by the square root of their length.

    Args:
        first: (B, C, h, w) features whose positions ask.
        second: (B, C, h, w) features that are searched.
        levels: number of scales; each halves the searched frame.
        radius: of the window that a lookup reads.
        volume_limit: MiB up to which all pairs are computed at once, which is faster; above it, each lookup computes
            the pairs that it reads. The numbers are the same up to rounding.
    """
    batch, _, height, width = first.shape
    size = torch.promote_types(first.dtype, torch.float32).itemsize
    # The pyramid adds a quarter, a sixteenth, ... to the finest level.
    volume = batch * (height * width) ** 2 * size * 4 / 3
    whole = torch.compiler.is_exporting() or volume <= volume_limit * 2**20
    form = CorrelationPyramid if whole else CorrelationOnDemand
    return form(first, second, levels, radius)


class CorrelationPyramid:
    """All pairs at once: (h * w)^2 * 4 / 3 numbers, 5.2 GiB for a frame of 1920 x 1080 at an eighth.

    The published network pools the volume; correlating with pooled features is the same by linearity, and cheaper. Its
    arguments are those of `correlate`.
    """

    def __init__(self, first: Tensor, second: Tensor, levels: int, radius: int) -> None:
        self.radius = radius
        with torch.autocast(first.device.type, enabled=False):
            asking, pooled = _prepare(first, second, levels)
            volumes = (asking @ level.flatten(2) for level in pooled)
            self.levels = [v.reshape(-1, 1, *level.shape[-2:]) for v, level in zip(volumes, pooled, strict=True)]

    def lookup(self, points: Tensor) -> Tensor:
        """See `Correlation.lookup`."""
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


class CorrelationOnDemand:
    """Only the pairs that a lookup reads.

    Interpolating the volume is interpolating scalar products: each lookup takes the products of a position with the
    (2 * radius + 2)^2 features around its match, and blends neighbouring ones. Memory is the pooled features and one
    piece of gathered ones; gradients gather them again. Its arguments are those of `correlate`.
    """

    def __init__(self, first: Tensor, second: Tensor, levels: int, radius: int) -> None:
        self.radius = radius
        # A window that lies wholly outside reads the zeros here.
        self.border = 2 * radius + 2
        asking, pooled = _prepare(first, second, levels)
        self.asking = asking.reshape(-1, asking.shape[2])
        self.sizes = [level.shape[-2:] for level in pooled]
        padded = (F.pad(level, (self.border,) * 4) for level in pooled)
        self.searched = [level.movedim(1, -1).reshape(-1, second.shape[1]) for level in padded]

    def lookup(self, points: Tensor) -> Tensor:
        """See `Correlation.lookup`."""
        batch, _, height, width = points.shape
        with torch.autocast(points.device.type, enabled=False):
            centres = points.to(self.asking.dtype).movedim(1, -1).reshape(-1, 2)
            read = [self._level(centres / 2**scale, scale, batch) for scale in range(len(self.sizes))]
            return torch.cat(read, dim=-1).view(batch, height, width, -1).movedim(-1, 1)

    def _level(self, centres: Tensor, scale: int, batch: int) -> Tensor:
        height, width = self.sizes[scale]
        side, row = 2 * self.radius + 2, width + 2 * self.border
        corner = centres.detach().floor().nan_to_num() - self.radius
        limits = corner.new_tensor([width, height])
        x, y = corner.clamp(min=-self.border).minimum(limits).long().add(self.border).unbind(1)
        frame = torch.arange(batch, device=x.device).repeat_interleave(len(x) // batch)
        starts = (frame * (height + 2 * self.border) + y) * row + x
        steps = torch.arange(side, device=x.device)
        offsets = (steps[:, None] * row + steps).flatten()
        fractions = centres - centres.detach().floor()
        available = _GATHERED.get(x.device.type, _GATHERED_ELSEWHERE)
        piece = max(1, available // (side**2 * self.asking.shape[1] * self.asking.element_size()))
        searched, parts = self.searched[scale], [t.split(piece) for t in (self.asking, starts, fractions)]
        if torch.is_grad_enabled() and any(t.requires_grad for t in (self.asking, searched, fractions)):
            window = partial(checkpoint, _window, use_reentrant=False)
            return torch.cat([window(a, searched, s, offsets, f) for a, s, f in zip(*parts, strict=True)])
        # Results that were allocated between the pieces would keep an allocator from using their space again.
        read = self.asking.new_empty(len(starts), (side - 1) ** 2)
        for a, s, f, place in zip(*parts, read.split(piece), strict=True):
            place.copy_(_window(a, searched, s, offsets, f))
        return read


def _prepare(first: Tensor, second: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
    """Asking features as (B, h * w, C), scaled, and the searched ones at every scale; float32 at least."""
    dtype = torch.promote_types(first.dtype, torch.float32)
    pooled = [second.to(dtype)]
    for _ in range(levels - 1):
        pooled.append(F.avg_pool2d(pooled[-1], 2, stride=2))
    return first.to(dtype).flatten(2).transpose(1, 2) / first.shape[1] ** 0.5, pooled


def _window(asking: Tensor, searched: Tensor, starts: Tensor, offsets: Tensor, fractions: Tensor) -> Tensor:
    """Windows of interpolated products, (n, (side - 1)^2), for n positions; x is the slow index."""
    side = round(len(offsets) ** 0.5)
    products = (F.embedding(starts[:, None] + offsets, searched) @ asking[:, :, None]).view(-1, side, side)
    x, y = fractions[:, :, None, None].unbind(1)
    rows = products[:, :-1] + y * (products[:, 1:] - products[:, :-1])
    blended = rows[:, :, :-1] + x * (rows[:, :, 1:] - rows[:, :, :-1])
    return blended.transpose(1, 2).flatten(1)
