import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.ops import attention


def made(queries: int = 70, keys: int = 45, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    unit = (F.normalize(torch.randn(batch, n, 16, dtype=torch.float64), dim=2) for n in (queries, keys))
    return *unit, torch.randn(batch, keys, 3, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 0.05, 1e-10])
@pytest.mark.parametrize("chunk", [1, 32, 512])
def test_equals_attention_and_the_largest_similarity(temperature: float, chunk: int) -> None:
    queries, keys, values = made()
    read, best, _ = ops.match(queries, keys, values, temperature, chunk)
    expected = F.scaled_dot_product_attention(queries, keys, values, scale=1 / temperature)
    torch.testing.assert_close(read, expected)
    torch.testing.assert_close(best, torch.einsum("bnc,bmc->bnm", queries, keys).amax(2, keepdim=True))


@pytest.mark.parametrize("top", [1, 5, 45, 100])
def test_top_reads_the_best_alone(top: int) -> None:
    queries, keys, values = made()
    read, best, places = ops.match(queries, keys, values, 0.1, chunk=30, top=top)
    scores = queries @ keys.transpose(1, 2)
    least = scores.sort(dim=2, descending=True).values[..., [min(top, 45) - 1]]
    weights = torch.softmax((scores / 0.1).masked_fill(scores < least, -torch.inf), dim=2)
    torch.testing.assert_close(read, weights @ values)
    torch.testing.assert_close(best, scores.topk(min(top, 45), dim=2).values)
    torch.testing.assert_close(best, scores.gather(2, places))


@pytest.mark.parametrize("top", [None, 3])
def test_a_neighbourhood_reads_what_is_near(top: int | None) -> None:
    queries, keys, values = made()
    places = [torch.rand(n, 2) for n in (70, 45)]
    places[0][7] = 9.0  # far from every key
    near = ops.Neighbourhood(*places, radius=0.4)
    inputs = [x.requires_grad_() for x in (queries, keys, values)]
    read, best, _ = ops.match(*inputs, 0.1, chunk=30, top=top, near=near)
    for n in (0, 33, 69):
        seen = (places[1] - places[0][n]).abs().amax(1) <= 0.4
        alone = ops.match(queries[:, [n]], keys[:, seen], values[:, seen], 0.1, top=top)
        torch.testing.assert_close(read[:, [n]], alone[0])
        torch.testing.assert_close(best[:, [n]], alone[1])
    assert read[:, 7].abs().max() == 0
    assert (best[:, 7] == -1).all()
    read.sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in inputs)


def test_gradient_is_the_same_where_scores_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    torch.manual_seed(1)
    inputs = made()
    for held in (2**26, 0):
        monkeypatch.setattr(attention, "_HELD_SCORES", held)
        fresh = [x.clone().requires_grad_() for x in inputs]
        read, best, _ = ops.match(*fresh, 0.1, chunk=16)
        (read.square().sum() + best.sum()).backward()
        gradients.append([x.grad for x in fresh])
    torch.testing.assert_close(*gradients)


def test_no_square_matrix_is_ever_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither without gradients nor with, where every tensor that is kept for the way back is looked at."""
    monkeypatch.setattr(attention, "_HELD_SCORES", 0)
    count, held = 3000, {}
    queries, keys, values = (x.float().requires_grad_() for x in made(count, count, 1))

    def keep(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // 4
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        read, *_ = ops.match(queries, keys, values, 0.1, chunk=64)
    assert sum(held.values()) < 0.1 * count**2
    read.sum().backward()
    assert queries.grad is not None


def test_half_precision_does_not_flip_matches() -> None:
    queries, keys, values = (x.float() for x in made())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        read, best, _ = ops.match(queries, keys, values, 1e-3)
    assert read.dtype == best.dtype == torch.float32
    torch.testing.assert_close(read, ops.match(queries, keys, values, 1e-3)[0])


@pytest.mark.parametrize("border", ["constant", "reflect"])
@pytest.mark.parametrize("size", [(5, 7), (2, 1)])
def test_convolution_of_the_enlarged_is_what_it_says(border: str, size: tuple[int, int]) -> None:
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    weight, bias = torch.randn(4, 3, 3, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    padded = F.pad(F.interpolate(image, scale_factor=2.0), (1, 1, 1, 1), mode=border)
    torch.testing.assert_close(ops.upsampled_conv(image, weight, bias, border), F.conv2d(padded, weight, bias))
    torch.testing.assert_close(ops.upsampled_conv(image, weight, None, border), F.conv2d(padded, weight))


@pytest.mark.parametrize("top", [3, 100])
def test_cells_equal_the_whole_where_all_are_looked_into(top: int) -> None:
    queries, keys, values = made(72, 44)
    whole = ops.match(queries, keys, values, 0.1, top=top)
    for chunk in (5, 512):
        found = ops.match_coarse_to_fine(queries, keys, values, 0.1, cells=20, top=top, chunk=chunk)
        torch.testing.assert_close(found.values, whole.values)
        torch.testing.assert_close(found.similarity, whole.similarity)
        assert torch.equal(found.place, whole.place)


def test_few_cells_find_the_best_of_what_they_hold() -> None:
    queries, keys, values = made(72, 44)
    found = ops.match_coarse_to_fine(queries, keys, values, 1e-6, cells=2, top=1)
    best = torch.einsum("bnc,bnc->bn", queries, keys.gather(1, found.place.expand(-1, -1, 16)))
    torch.testing.assert_close(found.similarity[..., 0], best)
    torch.testing.assert_close(found.values, values.gather(1, found.place.expand(-1, -1, 3)))
    means = (F.normalize(x.unflatten(1, (-1, 4)).mean(2), dim=2) for x in (queries, keys))
    likely = torch.einsum("bnc,bmc->bnm", *means).topk(2).indices.repeat_interleave(4, dim=1)
    assert (found.place // 4 == likely).any(dim=2).all()


def test_cells_hand_gradients_on() -> None:
    inputs = [x.requires_grad_() for x in made(8, 12)]
    temperature = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    ops.match_coarse_to_fine(*inputs, temperature, cells=3, top=6).values.square().sum().backward()
    assert all(x.grad.abs().sum() > 0 for x in (*inputs, temperature))
