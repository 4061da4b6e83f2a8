"""Attention: matching, and reading a memory; neither needs memory that grows with the square of the frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from flowchroma.ops.selection import largest, take_rows

_HELD_SCORES = 2**26  # with gradients, more than these are computed again instead of held: 256 MiB


class Matches(NamedTuple):
    """What N queries found among M keys."""

    values: Tensor  # (B, N, V), read
    similarity: Tensor  # (B, N, K), of the keys read, in [-1, 1], the best first; of the best alone where all are read
    place: Tensor  # (B, N, K), int64: which keys these are; any, where fewer than K could be matched: similarity -1


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
) -> Matches:
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
        Float32 at least, also under autocast: half precision flips matches.
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
        return Matches(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True)))


def _match_part(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    temperature: Tensor | float,
    top: int | None,
    near: Neighbourhood | None,
) -> tuple[Tensor, Tensor, Tensor]:
    scores = queries @ keys
    lost = None
    if near is not None:
        outside = near.outside()
        lost = outside.all(dim=1)[None, :, None]
        # A row without any key would be softmax's 0 / 0.
        scores = scores.masked_fill(outside & ~lost, -torch.inf)
    if top is None:
        best, place = scores.max(-1, keepdim=True)
        read = torch.softmax(scores / temperature, dim=-1) @ values
    else:
        best, place = scores.topk(min(top, scores.shape[2]), dim=-1)
        chosen = values[:, None].expand(-1, place.shape[1], -1, -1)
        chosen = chosen.gather(2, place[..., None].expand(-1, -1, -1, values.shape[2]))
        read = (torch.softmax(best / temperature, dim=-1)[..., None] * chosen).sum(dim=2)
        best = best.clamp(min=-1)
    if lost is not None:
        read, best = read.masked_fill(lost, 0), best.masked_fill(lost, -1)
    return read, best, place


def match_coarse_to_fine(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    temperature: Tensor | float,
    cells: int,
    top: int,
    chunk: int = 512,
    coarse: Tensor | None = None,
) -> Matches:
    """`match` from coarse to fine, at a fraction of its cost and memory.

    Four tokens in a row are a cell: a square of two by two positions. Mean keys are compared first; of each query
    cell's best `cells` key cells, every position is then compared with every position of the query cell.

    Args:
        queries: (B, N, C), unit length, N a multiple of 4.
        keys: (B, M, C), unit length, M a multiple of 4.
        values: (B, M, V).
        temperature: as in `match`.
        cells: key cells whose positions are compared.
        top: keys that a query reads, the best of those compared.
        chunk: query cells compared at a time.
        coarse: `cell_keys` of the keys, where they are known; in half precision, if cells are to be compared in it.

    Returns:
        As `match`.
    """
    with torch.autocast(queries.device.type, enabled=False):
        dtype = torch.promote_types(queries.dtype, torch.float32)
        queries, keys, values = (x.to(dtype) for x in (queries, keys, values))
        coarse = cell_keys(keys) if coarse is None else coarse
        squares = queries.unflatten(1, (-1, 4))
        with torch.no_grad():
            asking = F.normalize(squares.mean(dim=2), dim=-1).to(coarse.dtype).split(chunk, dim=1)
            chosen = [largest(part @ coarse.transpose(1, 2), min(cells, coarse.shape[1])) for part in asking]
        parts = zip(squares.split(chunk, dim=1), chosen, strict=True)
        found = [_match_cells(part, cells, keys, values, temperature, top) for part, cells in parts]
        return Matches(*(torch.cat(parts, dim=1).flatten(1, 2) for parts in zip(*found, strict=True)))


@torch.no_grad()
def cell_keys(keys: Tensor) -> Tensor:
    """The keys of cells, (B, M / 4, C), unit length: means of four keys in a row (B, M, C). Without gradient."""
    with torch.autocast(keys.device.type, enabled=False):
        keys = keys.to(torch.promote_types(keys.dtype, torch.float32))
        return F.normalize(keys.unflatten(1, (-1, 4)).mean(dim=2), dim=-1)


def _match_cells(
    queries: Tensor, chosen: Tensor, keys: Tensor, values: Tensor, temperature: Tensor | float, top: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(B, n, 4, C) against the cells (B, n, k) of keys (B, M, C): what they read, with similarities and places."""
    places = (4 * chosen[..., None] + torch.arange(4, device=chosen.device)).flatten(2)
    compared = take_rows(keys.unflatten(1, (-1, 4)).flatten(2), chosen).unflatten(3, (4, -1)).flatten(2, 3)
    scores, order = (queries @ compared.transpose(2, 3)).topk(min(top, places.shape[2]), dim=-1)
    place = places.gather(2, order.flatten(2)).unflatten(2, order.shape[2:])
    weights = torch.softmax(scores / temperature, dim=-1)
    return (weights[..., None] * take_rows(values, place)).sum(dim=3), scores, place


class MemoryRead:
    """Attention with one head for several reads in which only the newest values change.

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
