"""Attention: matching, and reading a memory; neither needs memory that grows with the square of the frame."""

import torch
from torch import Tensor
from torch.nn import functional as F


def match(
    queries: Tensor, keys: Tensor, values: Tensor, temperature: Tensor | float, chunk: int = 512
) -> tuple[Tensor, Tensor]:
    """Read `values` where `keys` resemble `queries`: softmax(q k / temperature) v (SwinTExCo, section on WarpNet).

    Args:
        queries: (B, N, C), unit length.
        keys: (B, M, C), unit length.
        values: (B, M, V).
        temperature: the lower, the closer to the single best match.
        chunk: queries scored at a time; bounds memory at chunk * M scores.

    Returns:
        What was read, (B, N, V), and the best cosine similarity of each query, (B, N, 1) in [-1, 1]. Float32 at least,
        also under autocast: half precision flips matches.
    """
    with torch.autocast(queries.device.type, enabled=False):
        dtype = torch.promote_types(queries.dtype, torch.float32)
        queries, keys, values = queries.to(dtype), keys.to(dtype).transpose(1, 2), values.to(dtype)
        read, best = [], []
        for part in queries.split(chunk, dim=1):
            scores = part @ keys
            best.append(scores.amax(-1, keepdim=True))
            read.append(torch.softmax(scores / temperature, dim=-1) @ values)
        return torch.cat(read, dim=1), torch.cat(best, dim=1)


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
