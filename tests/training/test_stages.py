import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.losses import L1, Temporal, WeightedSum
from flowchroma.models import SimpleFusion
from flowchroma.training import FusionStage, MemFlowStage, SwinTExCoStage
from flowchroma.types import Clip


def adam(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, 1e-3)


def total(stage, clip: Clip) -> torch.Tensor:
    stage.log = lambda *_, **__: None
    return stage.training_step(clip, 0)


def test_frozen_networks_stay_in_evaluation_and_out_of_the_optimizer(fusion: FusionStage) -> None:
    fusion.train()
    assert fusion.trained.training
    assert not any(m.training for part in (fusion.network.flow, fusion.network.matcher) for m in part.modules())
    optimized = {id(p) for g in fusion.configure_optimizers()["optimizer"].param_groups for p in g["params"]}
    assert optimized == {id(p) for p in fusion.trained.parameters()}


def test_fusion_learns_and_the_frozen_do_not(fusion: FusionStage, clip: Clip) -> None:
    with torch.no_grad():
        for parameter in fusion.trained.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    frozen = {k: v.clone() for k, v in fusion.network.state_dict().items() if not k.startswith("fusion.")}
    optimizer = fusion.configure_optimizers()["optimizer"]
    first = total(fusion, clip)
    for _ in range(20):
        optimizer.zero_grad()
        loss = total(fusion, clip)
        loss.backward()
        optimizer.step()
    assert loss < 0.7 * first
    assert all(torch.equal(v, fusion.network.state_dict()[k]) for k, v in frozen.items())


def test_rollout_carries_its_own_colour_and_its_gradient(fusion: FusionStage, clip: Clip) -> None:
    with torch.no_grad():
        for parameter in fusion.trained.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    first, *_, last = (frame.ab for frame in fusion._roll_out(clip))
    gradient = torch.autograd.grad(last.sum(), first)[0]
    assert gradient[1].abs().sum() > 0
    torch.testing.assert_close(first[0], clip.ab[0, 0])  # given
    assert (first[1] - clip.ab[1, 0]).abs().mean() > 0.1  # found


def test_given_first_frames_are_not_judged(fusion: FusionStage, clip: Clip) -> None:
    from dataclasses import replace

    assert len(list(fusion.predictions(clip))) == 3
    given = replace(clip, starts_coloured=torch.tensor([True, True]))
    assert len(list(fusion.predictions(given))) == 2


def test_flow_stage_is_supervised_by_the_exact_flow(build, build_loss, clip: Clip) -> None:
    stage = MemFlowStage(build("memflow_small"), build_loss("flow"), adam)
    predictions = list(stage.predictions(clip))
    assert len(predictions) == 2
    values = stage.loss(predictions[0])
    error = torch.stack([(f - clip.flow[:, 0]).abs().mean() for f in predictions[0].estimate.iterates])
    weights = 0.85 ** torch.arange(len(error) - 1, -1, -1)
    torch.testing.assert_close(values.unweighted["epe"], (weights * error).sum() / weights.sum())
    total(stage, clip).backward()
    assert all(p.grad is not None for p in stage.network.parameters())


def test_matching_stage_trains_all_but_the_trunk(build, clip: Clip) -> None:
    stage = SwinTExCoStage(build("swintexco_small"), WeightedSum({"l1": L1()}, {"l1": 1.0}), adam)
    for _ in range(2):  # the refinement starts at zero, so its inner layers learn from the second step on
        optimizer = stage.configure_optimizers()["optimizer"]
        optimizer.zero_grad()
        total(stage, clip).backward()
        optimizer.step()
    without = [n for n, p in stage.model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert without == []
    assert all(p.grad is None for p in stage.model.embed.trunk.parameters())


@torch.no_grad()
def test_validation_scores_what_it_says(build, build_loss, clip: Clip) -> None:
    from dataclasses import replace

    stage = MemFlowStage(build("memflow_small"), build_loss("flow"), adam)
    found = list(stage.colours(replace(clip, starts_coloured=torch.tensor([True, True]))))
    assert len(found) == 2
    torch.testing.assert_close(found[1]["psnr_hold"], clip.ab[:, 0])
    assert (found[1]["psnr"] - clip.ab[:, 2]).abs().mean() < (clip.ab[:, 0] - clip.ab[:, 2]).abs().mean()
    assert stage.measured["epe"].compute() < 1.5


def test_gradients_flow_through_as_many_frames_as_the_horizon_says(fusion: FusionStage) -> None:
    from .conftest import made_clip

    clip = made_clip(5)
    with torch.no_grad():
        for parameter in fusion.trained.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    for horizon, reaches in ((None, [True] * 4), (2, [False] * 4), (3, [False, False, False, True])):
        colours = [frame.ab for frame in fusion._roll_out(clip, horizon=horizon)]
        gradients = torch.autograd.grad(colours[-1].sum(), colours[:-1], allow_unused=True)
        assert [g is not None and bool(g.any()) for g in gradients] == reaches


def test_clips_grow_with_the_steps(build, clip: Clip) -> None:
    from .conftest import made_clip

    loss = WeightedSum({"l1": L1(), "temporal": Temporal()}, {"l1": 1.0, "temporal": 0.5})
    networks = SimpleFusion(14), build("memflow_small"), build("swintexco_small")
    stage = FusionStage(*networks, loss, adam, growth={0: 2, 5: 4, 9: 50})
    clip = made_clip(5)
    lengths = []
    for step in (0, 4, 5, 9):
        type(stage).global_step = property(lambda _, step=step: step)
        lengths.append(len(list(stage.predictions(clip))))
    del type(stage).global_step
    assert lengths == [2, 2, 4, 5]
    assert len(list(stage._roll_out(clip))) == 5  # validation sees all


def test_a_reference_of_another_film_is_not_compared_with(fusion: FusionStage, clip: Clip) -> None:
    from dataclasses import replace

    foreign = replace(clip, own_colours=torch.tensor([True, False]))
    masks = [prediction.mask for prediction in fusion.predictions(foreign)]
    assert all(mask[0].min() == 1 and mask[1].max() == 0 for mask in masks)


def test_a_cut_in_a_clip_is_trained_through_and_scored_frame_by_frame(fusion: FusionStage) -> None:
    from dataclasses import replace

    from .conftest import made_clip

    clip, other = (made_clip(5, coloured=(True, True)) for _ in range(2))
    luma = 100 - other.lab[:, 2:, :1].flip(-1)
    cut = replace(clip, lab=torch.cat([clip.lab[:, :2], torch.cat([luma, other.lab[:, 2:, 1:]], dim=2)], dim=1))
    alone = replace(cut, lab=torch.cat([cut.lab[:1], clip.lab[1:]]))  # one of two is cut
    for spliced in (cut, alone):
        assert len(list(fusion.colours(spliced))) == 4  # one for each frame but the first
        total(fusion, spliced).backward()
        assert all(torch.isfinite(p.grad).all() for p in fusion.trained.parameters())
    carried = [frame.signals and frame.signals.propagation.confidence.mean() for frame in fusion._roll_out(cut)]
    assert carried[2] < 0.7 * carried[1]


@pytest.mark.parametrize("wrong", [{"horizon": 0}, {"growth": {0: 1}}])
def test_clips_that_cannot_be_judged_are_refused(build, wrong) -> None:
    networks = SimpleFusion(14), build("memflow_small"), build("swintexco_small")
    with pytest.raises(UserError, match=r"stage\.module"):
        FusionStage(*networks, WeightedSum({"l1": L1()}, {"l1": 1.0}), adam, **wrong)
