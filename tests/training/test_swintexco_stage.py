from dataclasses import replace

import pytest
import torch

from flowchroma.losses import L1, Temporal, WeightedSum
from flowchroma.training import SwinTExCoStage
from flowchroma.types import Clip, Match


def adam(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, 1e-3)


def stage_of(build, flow=None, l1=0.0, temporal=1.0) -> SwinTExCoStage:
    loss = WeightedSum({"l1": L1(), "temporal": Temporal()}, {"l1": l1, "temporal": temporal})
    return SwinTExCoStage(build("swintexco_small"), loss, adam, flow=flow)


def temporal(stage: SwinTExCoStage, clip: Clip) -> list[float]:
    return [v.unweighted["temporal"].item() for v in stage.losses(clip)]


@torch.no_grad()
def test_motion_is_compared_along_exact_flow_and_nowhere_else(build, clip: Clip) -> None:
    stage = stage_of(build)
    first, *later = temporal(stage, clip)
    assert first == 0
    assert all(value > 0 for value in later)
    unknown = replace(clip, has_flow=torch.tensor([False, False]))
    assert temporal(stage, unknown) == [0, 0, 0]
    half = replace(clip, has_flow=torch.tensor([True, False]))
    assert all(value > 0 for value in temporal(stage, half)[1:])


@torch.no_grad()
def test_a_frozen_flow_network_tells_the_motion_of_the_others(build, clip: Clip) -> None:
    flow = build("memflow_small")
    stage = stage_of(build, flow).train()
    assert not flow.training
    assert not any(p.requires_grad for p in flow.parameters())
    optimized = {id(p) for g in stage.configure_optimizers()["optimizer"].param_groups for p in g["params"]}
    assert not optimized & {id(p) for p in flow.parameters()}
    unknown = replace(clip, has_flow=torch.tensor([False, False]))
    assert all(value > 0 for value in temporal(stage, unknown)[1:])


@torch.no_grad()
def test_flow_is_not_computed_where_no_term_asks_for_it(build, clip: Clip) -> None:
    flow = build("memflow_small")
    flow.forward = lambda *_: pytest.fail("computed")
    stage_of(build, flow, l1=1, temporal=0).losses(clip)


@torch.no_grad()
def test_output_that_follows_the_motion_costs_nothing(build, clip: Clip) -> None:
    stage = stage_of(build)
    given = replace(clip, starts_coloured=torch.tensor([True, True]))
    truth = iter(clip.ab.unbind(1)[1:])
    stage.model.forward = lambda *_: Match(next(truth), *[clip.luma[:, 0]] * 3)  # type: ignore[method-assign]
    inner = replace(given, visible=torch.nn.functional.pad(given.visible[..., 4:-4], (4, 4)))
    assert temporal(stage, inner) == pytest.approx([0, 0], abs=1e-4)


def test_the_whole_loss_trains_all_but_the_trunk(build, build_loss, clip: Clip) -> None:
    stage = SwinTExCoStage(build("swintexco_small"), build_loss("swintexco"), adam)
    for _ in range(2):  # the refinement starts at zero, so its inner layers learn from the second step on
        optimizer = stage.configure_optimizers()["optimizer"]
        optimizer.zero_grad()
        torch.stack([v.total for v in stage.losses(clip)]).mean().backward()
        optimizer.step()
    without = [n for n, p in stage.model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert without == []
    trunk = stage.train().model.embed.trunk
    assert not trunk.training
    assert not any(p.requires_grad for p in trunk.parameters())
    assert stage.loss.trunk_used == "the matching network's own, 4 levels"


@torch.no_grad()
def test_several_references_reach_the_network_and_the_loss(build, build_loss, clip: Clip) -> None:
    stage = SwinTExCoStage(build("swintexco_small"), build_loss("swintexco"), adam)
    several = replace(clip, references=torch.cat([clip.references.roll(20, dims=-1), clip.references], dim=1))
    prediction = next(stage.predictions(several))
    assert prediction.reference.shape == (2, 2, 3, 64, 64)
    assert torch.isfinite(stage.loss(prediction).total)
