"""Selecting rows and columns of large tables, in a fraction of the time of the usual way on a CPU."""

import torch
from torch import Tensor

_GROUP = 8  # columns whose largest is compared first; 16 is as fast, 4 and 32 are slower


def largest(scores: Tensor, count: int) -> Tensor:
    """Where the `count` largest of each row lie, (..., count), the largest first; scores (..., M), count at most M.

    `topk` in half the time: no more than `count` groups of columns hold them, those whose own largest are the largest.
    """
    columns = scores.shape[-1]
    groups = columns // _GROUP
    if groups <= 4 * count:
        return scores.topk(count, dim=-1).indices
    grouped = scores[..., : groups * _GROUP].unflatten(-1, (_GROUP, groups))  # columns a stride apart: wide sums
    best = grouped.amax(dim=-2).topk(count, dim=-1, sorted=False).indices
    starts = groups * torch.arange(_GROUP, device=scores.device)
    among = (best[..., None, :] + starts[:, None]).flatten(-2)
    left = torch.arange(groups * _GROUP, columns, device=scores.device).expand(*among.shape[:-1], -1)
    among = torch.cat([among, left], dim=-1)
    return among.gather(-1, scores.gather(-1, among).topk(count, dim=-1).indices)


def take_rows(table: Tensor, place: Tensor) -> Tensor:
    """Of a table (B, M, C) the rows that `place`, (B, ...), int64, numbers within each item: (B, ..., C).

    Whole rows are copied, in a fraction of the time of indexing by two tensors.
    """
    item = len(table)
    if item > 1:
        offsets = torch.arange(0, item * table.shape[1], table.shape[1], device=place.device)
        place = place + offsets.view(-1, *[1] * (place.dim() - 1))
    return table.flatten(0, 1).index_select(0, place.flatten()).view(*place.shape, table.shape[2])
