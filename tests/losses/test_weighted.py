import dataclasses

import pytest
import torch
from torch import nn

from flowchroma.errors import UserError
from flowchroma.losses import L1, Temporal, WeightedSum


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, prediction):
        return prediction.ab.sum() * 0 + self.value


class Explosive(nn.Module):
    def forward(self, prediction):
        raise AssertionError("a term of weight 0 was computed")


def test_sum_and_parts(frame):
    loss = WeightedSum({"a": Constant(2.0), "b": Constant(3.0)}, {"a": 0.5, "b": 10})
    total, unweighted, weighted = loss(frame())
    assert total.item() == 31
    assert {k: v.item() for k, v in unweighted.items()} == {"a": 2, "b": 3}
    assert {k: v.item() for k, v in weighted.items()} == {"a": 1, "b": 30}


def test_gradient_comes_from_the_total_alone(frame):
    p = frame()
    p = dataclasses.replace(p, ab=p.ab.requires_grad_())
    values = WeightedSum({"l1": L1(), "temporal": Temporal()}, {"l1": 2.0, "temporal": 1.0})(p)
    assert not any(value.requires_grad for value in (*values.unweighted.values(), *values.weighted.values()))
    values.total.backward()
    torch.testing.assert_close(p.ab.grad, 2 * (p.ab - p.target_ab).sign().detach() / 110 / p.ab.numel())


def test_weight_zero_is_neither_built_nor_computed(frame):
    def refuse():
        raise AssertionError("a term of weight 0 was built")

    terms = {"a": lambda: Constant(1.0), "b": Explosive(), "c": refuse}
    loss = WeightedSum(terms, {"a": 1.0, "b": 0.0, "c": 0})
    assert set(loss(frame()).unweighted) == {"a"}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": 1.0, "c": 1.0}, "no term c: it has a, b"),
        ({"a": 1.0}, "term b has no weight"),
        ({"a": 1.0, "b": -1.0}, "weight of b is -1"),
        ({"a": 1.0, "b": float("nan")}, "weight of b is nan"),
        ({"a": 1.0, "b": "much"}, "weight of b is much"),
        ({"a": 0.0, "b": 0.0}, "every term"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    with pytest.raises(UserError, match=message):
        WeightedSum({"a": L1(), "b": L1()}, weights)
