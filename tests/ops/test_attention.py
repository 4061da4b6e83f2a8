import pytest
import torch
from torch import Tensor

from flowchroma import ops


def made(remembered: int, queries: int = 9) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return tuple(torch.randn(2, n, 6, dtype=torch.float64) for n in (queries, remembered + 7, remembered, 7))


@pytest.mark.parametrize("queries", [9, 1030])
@pytest.mark.parametrize("remembered", [0, 5])
def test_memory_is_read_alike_from_a_table_and_without_one(remembered: int, queries: int) -> None:
    query, keys, values, newest = made(remembered, queries)
    scores = torch.einsum("bnd,bmd->bnm", query, keys) * 0.3
    expected = torch.softmax(scores, dim=2) @ torch.cat([values, newest], dim=1)
    with torch.no_grad():
        whole = ops.MemoryRead(query, keys, values, 0.3, table_limit=1)
        pieces = ops.MemoryRead(query, keys, values, 0.3, table_limit=0)
    assert whole.table is not None
    assert pieces.table is None
    torch.testing.assert_close(whole(newest), expected)
    torch.testing.assert_close(pieces(newest), expected)


def test_reading_with_gradient_keeps_no_table_and_reaches_everything() -> None:
    inputs = [x.requires_grad_() for x in made(5)]
    query, keys, values, newest = inputs
    read = ops.MemoryRead(query, keys, values, 0.3, table_limit=1)
    assert read.table is None
    read(newest).square().sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in inputs)
