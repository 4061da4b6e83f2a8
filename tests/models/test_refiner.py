"""The refiner: what it does before it learns, what reaches what when it learns, and in which precision."""

import pytest
import torch
from torch import Tensor

from flowchroma import ops
from flowchroma.models.memflow import Refiner


def texture(height: int, width: int) -> Tensor:
    coarse = torch.rand(1, 1, height // 5 + 2, width // 5 + 2)
    return 20 + 60 * torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def constant(shift: tuple[float, float], height: int, width: int) -> Tensor:
    return torch.tensor(shift).view(1, 2, 1, 1).expand(1, 2, height, width)


def lively(refiner: Refiner) -> Refiner:
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return refiner


@torch.no_grad()
@pytest.mark.parametrize("gain", [1.0, 1.2])
def test_untrained_it_takes_what_the_light_proposes(gain: float) -> None:
    previous, true = texture(96, 112), constant((1.3, -0.9), 96, 112)
    luma = gain * ops.backward_warp(previous, true)
    off = constant((0.0, 0.0), 12, 14)
    found = Refiner(hidden=8)(off, torch.zeros(1, 8, 12, 14), luma, previous)
    error = (found.flow - true)[..., 12:-12, 12:-12].norm(dim=1).mean()
    assert error < 0.2 * true.norm(dim=1).mean()
    assert [step.shape[-1] for step in found.steps] == [28, 56, 56]


def test_all_that_learns_learns_and_the_coarse_grid_learns_through_the_hidden_state() -> None:
    refiner = lively(Refiner(hidden=8))
    flow, hidden = torch.zeros(1, 2, 8, 8, requires_grad=True), torch.randn(1, 8, 8, 8, requires_grad=True)
    found = refiner(flow, hidden, texture(64, 64), texture(64, 64))
    sum(step.square().mean() for step in [*found.steps, found.flow]).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in refiner.parameters())
    assert hidden.grad.abs().sum() > 0
    assert flow.grad is None  # as between iterations


def test_weights_are_shares_and_enlarge_the_last_step() -> None:
    refiner = lively(Refiner(hidden=8))
    coarse, hidden = torch.zeros(2, 2, 4, 6), torch.randn(2, 8, 4, 6)
    frames = [texture(32, 48).expand(2, -1, -1, -1) for _ in range(2)]
    found = refiner(coarse, hidden, *frames)
    assert found.weights.shape == (2, 4, 2, 2, 16, 24)
    torch.testing.assert_close(found.weights.sum(dim=1), torch.ones(2, 2, 2, 16, 24))
    refiner.settle.bias.data.fill_(-100)  # the last step is not trusted at all
    found = refiner(coarse, hidden, *frames)
    torch.testing.assert_close(found.flow, ops.convex_upsample_2x(found.steps[-1], found.weights))
    torch.testing.assert_close(found.refined, ops.refine_flow(found.flow, *frames))


@torch.no_grad()
@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_the_last_step_takes_the_last_fraction_where_it_is_trusted(gain: float) -> None:
    previous, true = texture(80, 96), constant((1.6, -0.7), 80, 96)
    luma = (gain * ops.backward_warp(previous, true)).clamp(0, 100)
    errors = []
    for trust in (-100.0, 100.0):
        refiner = Refiner(hidden=8, steps=(0, 1), radii=(10,))
        refiner.answer.bias.data[: 4 * 3] = torch.tensor([-100.0, -100.0, 100.0]).repeat_interleave(4)  # stand still
        refiner.settle.bias.data.fill_(trust)
        off = torch.nn.functional.avg_pool2d(true + 0.3, 8) / 8
        found = refiner(off, torch.zeros(1, 8, 10, 12), luma, previous)
        errors.append((found.flow - true)[..., 8:-8, 8:-8].norm(dim=1).mean())
    assert errors[1] < 0.6 * errors[0]


def test_flow_is_float32_where_layers_are_not() -> None:
    refiner = lively(Refiner(hidden=8))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = refiner(torch.zeros(1, 2, 8, 8), torch.randn(1, 8, 8, 8).bfloat16(), texture(64, 64), texture(64, 64))
    assert {x.dtype for x in (found.flow, found.weights, *found.steps)} == {torch.float32}
    plain = refiner(torch.zeros(1, 2, 8, 8), torch.zeros(1, 8, 8, 8), texture(64, 64), texture(64, 64))
    assert torch.isfinite(plain.flow).all()
    found.flow.mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in refiner.parameters() if p.grad is not None)
