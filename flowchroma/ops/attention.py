"""Attention: matching, and reading a memory; neither needs memory that grows with the square of the frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

_HELD_SCORES = 2**26  # with gradients, more than these are computed again instead of held: 256 MiB


@dataclass(frozen=True)
class Neighbourhood:
    """Which keys a query may match: those within `radius` of it along both axes. Any unit."""

    queries: Tensor  # (N, 2)
    keys: Tensor  # (M, 2)
    radius: float

    def split(self, chunk: int) -> Iterator["Neighbourhood"]:
        """The same for `chunk` queries at a time."""
        return (Neighbourhood(part, self.keys, self.radius) for part in self.queries.split(chunk))

    def outside(self) -> Tensor:
        """(N, M), bool: the key is too far."""
        return torch.cdist(self.queries.float(), self.keys.float(), p=float("inf")) > self.radius


def match(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    temperature: Tensor | float,
    chunk: int = 512,
    top: int | None = None,
    near: Neighbourhood | None = None,
) -> tuple[Tensor, Tensor]:
    """Read `values` where `keys` resemble `queries`: softmax(q k / temperature) v (SwinTExCo, section on WarpNet).

    Args:
        queries: (B, N, C), unit length.
        keys: (B, M, C), unit length.
        values: (B, M, V).
        temperature: the lower, the closer to the single best match.
        chunk: queries scored at a time; bounds memory at chunk * M scores, also with gradients.
        top: read only this many of each query's best keys; None reads all.
        near: read only keys in the neighbourhood; None reads all. A query with none reads zeros, at similarity -1.

    Returns:
        What was read, (B, N, V), and the best cosine similarity of each query, (B, N, 1) in [-1, 1]. Float32 at least,
        also under autocast: half precision flips matches.
    """
    with torch.autocast(queries.device.type, enabled=False):
        dtype = torch.promote_types(queries.dtype, torch.float32)
        queries, keys, values = queries.to(dtype), keys.to(dtype).transpose(1, 2), values.to(dtype)
        parts = queries.split(chunk, dim=1)
        regions = repeat(None) if near is None else near.split(chunk)
        scores = queries.shape[0] * queries.shape[1] * keys.shape[2]
        learns = torch.is_grad_enabled() and (queries.requires_grad or keys.requires_grad)
        found = []
        for part, region in zip(parts, regions, strict=False):
            if learns and scores > _HELD_SCORES:
                inputs = (part, keys, values, temperature, top, region)
                found.append(checkpoint(_match_part, *inputs, use_reentrant=False))
            else:
                found.append(_match_part(part, keys, values, temperature, top, region))
        read, best = zip(*found, strict=True)
        return torch.cat(read, dim=1), torch.cat(best, dim=1)


def _match_part(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    temperature: Tensor | float,
    top: int | None,
    near: Neighbourhood | None,
) -> tuple[Tensor, Tensor]:
    scores = queries @ keys
    lost = None
    if near is not None:
        outside = near.outside()
        lost = outside.all(dim=1)[None, :, None]
        # A row without any key would be softmax's 0 / 0.
        scores = scores.masked_fill(outside & ~lost, -torch.inf)
    best = scores.amax(-1, keepdim=True)
    if top is None or top >= scores.shape[2]:
        read = torch.softmax(scores / temperature, dim=-1) @ values
    else:
        scores, places = scores.topk(top, dim=-1)
        chosen = values[:, None].expand(-1, places.shape[1], -1, -1)
        chosen = chosen.gather(2, places[..., None].expand(-1, -1, -1, values.shape[2]))
        read = (torch.softmax(scores / temperature, dim=-1)[..., None] * chosen).sum(dim=2)
    return (read, best) if lost is None else (read.masked_fill(lost, 0), best.masked_fill(lost, -1))


class MemoryRead:
    """Attention with one head, asked again and again while only the newest values change.

    Without gradient, and where the table of the newest keys' weights fits, it is computed once and the remembered
    values are read once. Elsewhere each read is PyTorch's attention, whose back ends never hold all scores. The numbers
    are the same up to rounding.

    Args:
        query: (B, N, D).
        keys: (B, M + N', D), the newest N' last.
        values: (B, M, D), of the keys before the newest; M may be 0.
        scale: of the scalar products.
        table_limit: MiB that the table of weights may take.
    """

    def __init__(self, query: Tensor, keys: Tensor, values: Tensor, scale: float, table_limit: float) -> None:
        self.query, self.keys, self.values = (x.to(query.dtype).contiguous() for x in (query, keys, values))
        self.scale = scale
        self.table: Tensor | None = None
        newest = keys.shape[1] - values.shape[1]
        size = query.shape[0] * query.shape[1] * newest * query.element_size()
        if size <= table_limit * 2**20 and not torch.is_grad_enabled():
            self._tabulate(newest)

    def __call__(self, newest: Tensor) -> Tensor:
        """Read with the newest keys' values, (B, N', D): (B, N, D)."""
        newest = newest.to(self.query.dtype)
        if self.table is not None:
            return torch.baddbmm(self.remembered, self.table, newest)
        values = torch.cat([self.values, newest], dim=1)
        # An axis for the single head and contiguous channels let PyTorch take a back end that never holds all scores.
        q, k, v = (x[:, None] for x in (self.query, self.keys, values))
        return F.scaled_dot_product_attention(q, k, v, scale=self.scale)[:, 0]

    def _tabulate(self, newest: int, chunk: int = 512) -> None:
        """Keep the newest keys' weights, and what the others' read; score `chunk` queries at a time."""
        batch, queries, _ = self.query.shape
        self.table = self.query.new_empty(batch, queries, newest)
        self.remembered = torch.empty_like(self.query)
        transposed = self.scale * self.keys.transpose(1, 2)
        for start in range(0, queries, chunk):
            part = slice(start, start + chunk)
            weights = torch.softmax(self.query[:, part] @ transposed, dim=-1).to(self.query.dtype)
            before, self.table[:, part] = weights.split([weights.shape[2] - newest, newest], dim=2)
            self.remembered[:, part] = before @ self.values
