"""The largest columns and rows of tables, against the plain ways to them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.ops.selection import largest, take_rows


@settings(max_examples=40, deadline=None)
@given(columns=st.integers(1, 700), count=st.integers(1, 9), seed=st.integers(0, 1000))
def test_the_largest_are_those_of_topk(columns: int, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    scores, count = torch.randn(2, 3, columns), min(count, columns)
    assert torch.equal(largest(scores, count), scores.topk(count).indices)


@pytest.mark.parametrize("columns", [640, 645])
def test_the_largest_of_equal_ones_are_some_of_them_each_once(columns: int) -> None:
    scores = torch.zeros(4, columns)
    scores[:, -1] = 1.0
    found = largest(scores, 8)
    assert (found[:, 0] == columns - 1).all()
    assert all(len(set(row)) == 8 and min(row) >= 0 and max(row) < columns for row in found.tolist())


@pytest.mark.parametrize("items", [1, 3])
def test_rows_are_those_of_their_own_item(items: int) -> None:
    table, place = torch.randn(items, 11, 5), torch.randint(0, 11, (items, 4, 2))
    found = take_rows(table, place)
    for item in range(items):
        assert torch.equal(found[item], table[item][place[item]])


def test_rows_hand_gradients_on() -> None:
    table = torch.randn(2, 5, 3, requires_grad=True)
    take_rows(table, torch.tensor([[0, 0], [4, 1]])).sum().backward()
    assert table.grad is not None
    assert table.grad.sum(2).tolist() == [[6, 0, 0, 0, 0], [0, 3, 0, 0, 3]]
