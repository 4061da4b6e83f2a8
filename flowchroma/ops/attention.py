"""Matching as attention, in memory that does not grow with the square of the frame."""

import torch
from torch import Tensor


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
