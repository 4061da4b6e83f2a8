import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from flowchroma import ops
from flowchroma.ops import correlation


class LargestTensor(TorchDispatchMode):
    """Notes the most bytes that any one operation made."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        sizes = [t.untyped_storage().nbytes() for t in tree_flatten(made)[0] if isinstance(t, Tensor)]
        self.bytes = max([self.bytes, *sizes])
        return made


def made(batch: int, height: int, width: int, far: float, channels: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    first, second = (torch.randn(batch, channels, height, width, dtype=torch.float64) for _ in range(2))
    points = ops.pixel_grid(height, width, like=first) + far * torch.randn(batch, 2, height, width).double()
    return first, second, points


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 2),
    height=st.integers(4, 13),
    width=st.integers(4, 13),
    levels=st.integers(1, 3),
    radius=st.integers(0, 4),
    far=st.sampled_from([0.0, 1.0, 30.0, 1e6]),
)
def test_on_demand_equals_the_pyramid(
    batch: int, height: int, width: int, levels: int, radius: int, far: float
) -> None:
    first, second, points = made(batch, height, width, far)
    expected = ops.CorrelationPyramid(first, second, levels, radius).lookup(points)
    found = ops.CorrelationOnDemand(first, second, levels, radius).lookup(points)
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("piece", [1, 30_000, 2**30])
def test_on_demand_has_the_gradient_of_the_pyramid_in_pieces_of_any_size(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setitem(correlation._GATHERED, "cpu", piece)
    inputs = made(2, 8, 11, 2.0)
    weights = torch.randn(2, 2 * 25, 8, 11, dtype=torch.float64)
    gradients = []
    for form in (ops.CorrelationPyramid, ops.CorrelationOnDemand):
        first, second, points = (x.clone().requires_grad_() for x in inputs)
        (form(first, second, 2, 2).lookup(points) * weights).sum().backward()
        gradients.append((first.grad, second.grad, points.grad))
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected)


def test_on_demand_never_holds_the_volume() -> None:
    first, second, points = (x.float() for x in made(1, 64, 64, 3.0, channels=16))
    for form, most in ((ops.CorrelationOnDemand, 8 * 2**20), (ops.CorrelationPyramid, 2**30)):
        with LargestTensor() as largest:
            form(first, second, 3, 4).lookup(points)
        assert largest.bytes <= most
    assert largest.bytes >= 64**4 * 4


def test_the_form_is_chosen_by_the_volume_with_its_levels() -> None:
    first = torch.zeros(2, 3, 16, 16)
    volume = 2 * 16**4 * 4 * 4 / 3 / 2**20
    assert isinstance(ops.correlate(first, first, 4, 4, volume * 1.01), ops.CorrelationPyramid)
    assert isinstance(ops.correlate(first, first, 4, 4, volume * 0.99), ops.CorrelationOnDemand)


@pytest.mark.parametrize("form", [ops.CorrelationPyramid, ops.CorrelationOnDemand])
def test_a_lookup_is_float32_under_autocast(form: type) -> None:
    first, second, points = (x.float() for x in made(1, 8, 8, 1.0))
    expected = form(first, second, 2, 2).lookup(points)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = form(first, second, 2, 2).lookup(points)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_a_point_that_is_no_number_spoils_its_own_window_alone() -> None:
    first, second, points = made(1, 8, 8, 1.0)
    points[0, 0, 2, 3] = float("nan")
    spoiled = ops.CorrelationOnDemand(first, second, 2, 2).lookup(points).isnan().any(dim=1)[0]
    assert spoiled.nonzero().tolist() == [[2, 3]]
