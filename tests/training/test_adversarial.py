import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.utils.data import DataLoader

from flowchroma.errors import UserError
from flowchroma.losses import L1, WeightedSum, discriminator_loss, generator_loss
from flowchroma.training import AdversarialStage, adamw_by_part
from flowchroma.training.adversarial import _pairs
from flowchroma.types import Clip, Match

from .conftest import made_clip

BARE = WeightedSum({"l1": L1()}, {"l1": 1.0})


def adam(parameters) -> torch.optim.Optimizer:
    return adamw_by_part(parameters, 1e-2, {"discriminator": 0.1}, betas=(0.5, 0.999), amsgrad=True)


class Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList([nn.Conv2d(3, 4, 4, stride=4), nn.Conv2d(4, 4, 4, stride=4)])

    def forward(self, rgb: torch.Tensor) -> list[torch.Tensor]:
        fine = self.steps[0](rgb).relu()
        return [fine, self.steps[1](fine).relu()]


class Mean(nn.Module):
    """A matcher that asks for nothing but the references' mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = Trunk()
        self.paint = nn.Conv2d(6, 2, 3, padding=1)
        self.colornet = nn.Conv2d(2, 2, 1)

    def encode_references(self, references: torch.Tensor) -> torch.Tensor:
        return references[:, :, 1:].mean(dim=(1, 3, 4))[:, :, None, None]

    def forward(self, luma: torch.Tensor, memory: torch.Tensor, last: torch.Tensor | None = None) -> Match:
        last = torch.zeros_like(luma.expand(-1, 3, -1, -1)) if last is None else last
        seen = torch.cat([luma, memory.expand(-1, -1, *luma.shape[-2:]), last], dim=1) / 50
        return Match(20 * self.colornet(self.paint(seen)).float(), torch.ones_like(luma), luma, luma)


@pytest.fixture
def make():
    def made(**changes) -> AdversarialStage:
        torch.manual_seed(0)
        options = {"loss": BARE, "optimizer": adam, "discriminator_width": 4, "after_epoch": 0, "adversarial": 2.0}
        return AdversarialStage(Mean(), **{**options, **changes})

    return made


@pytest.fixture
def short() -> Clip:
    return made_clip(2, (False,))


def fit(stage: AdversarialStage, clips: list[Clip], **options) -> Trainer:
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, **{"max_epochs": 1, **options},
    )  # fmt: skip
    trainer.fit(stage, DataLoader(clips, batch_size=None))
    return trainer


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def moved(module: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, parameter in module.named_parameters() if not torch.equal(parameter, before[name])}


def test_neither_sides_loss_reaches_the_other(make, clip: Clip) -> None:
    stage = make()
    (total,) = {id(v.total): v.total for v in stage.losses(clip)[:1]}.values()
    total.backward()
    assert all(p.grad is None for p in stage.discriminator.parameters())
    assert any(p.grad is not None and p.grad.any() for p in stage.network.parameters())
    stage.zero_grad()
    stage.losses(clip)
    stage._against.backward()
    assert all(p.grad is None for p in stage.network.parameters())
    assert all(p.grad is not None for p in stage.discriminator.parameters())


def test_one_pass_gives_both_sides_the_gradients_that_each_would_have_alone(make, clip: Clip) -> None:
    stage = make().eval()  # in training every look refines the spectral norms

    def gradients(of) -> dict[str, torch.Tensor]:
        stage.zero_grad()
        values = stage.losses(clip)
        of(torch.stack([v.total for v in values]).mean(), stage._against).backward()
        return {name: p.grad.clone() for name, p in stage.named_parameters() if p.grad is not None}

    together, alone = gradients(lambda own, other: own + other), gradients(lambda own, _: own)
    other = gradients(lambda _, against: against)
    assert set(together) == set(alone) | set(other)
    assert not set(alone) & set(other)
    for name, gradient in (alone | other).items():
        torch.testing.assert_close(together[name], gradient, rtol=1e-4, atol=1e-7)


@torch.no_grad()
def test_the_game_is_that_of_the_papers_formulas(make, clip: Clip) -> None:
    stage = make().eval()
    real, made = _pairs(list(stage.predictions(clip)))
    assert real.shape == made.shape == (2 * 2, 2, 3, 64, 64)  # two clips, two frames with one before them
    torch.testing.assert_close(real[:2, 0], clip.lab[:, 1])
    torch.testing.assert_close(real[:2, 1], clip.lab[:, 0])
    torch.testing.assert_close(made[2:, 1, 1:], made[:2, 0, 1:])  # the frame before as it was made
    said = stage.discriminator(real), stage.discriminator(made)
    values = stage.losses(clip)
    torch.testing.assert_close(stage._against, discriminator_loss(*said))
    for value in values:
        torch.testing.assert_close(value.unweighted["adversarial"], generator_loss(*said))
        torch.testing.assert_close(value.weighted["adversarial"], 2 * generator_loss(*said))
        torch.testing.assert_close(value.total, value.weighted["l1"] + value.weighted["adversarial"])


@pytest.mark.parametrize("still", ["network", "discriminator"])
def test_each_side_steps_alone(make, short: Clip, still: str) -> None:
    def rates(parameters) -> torch.optim.Optimizer:
        named = list(parameters)
        side = "discriminator" if named[0][0].startswith("discriminator") else "network"
        return torch.optim.SGD(named, 0.0 if side == still else 1e-2)

    stage = make(optimizer=rates)
    network, discriminator = state(stage.network), state(stage.discriminator)
    fit(stage, [short])
    assert bool(moved(stage.network, network)) == (still != "network")
    assert bool(moved(stage.discriminator, discriminator)) == (still != "discriminator")


def test_the_network_listens_after_the_epochs_and_the_discriminator_learns_before(make, short: Clip) -> None:
    heard: list[bool] = []
    stage = make(after_epoch=1)
    losses = stage.losses
    stage.losses = lambda clip: [heard.append("adversarial" in v.unweighted) or v for v in losses(clip)[:1]]
    before = state(stage.discriminator)
    fit(stage, [short])
    assert moved(stage.discriminator, before)
    fit(stage, [short], max_epochs=3)
    assert heard == [False, False, True, True]


def test_rates_schedules_and_steps(make, short: Clip) -> None:
    decay = partial(torch.optim.lr_scheduler.PolynomialLR, total_iters=4, power=1.0)
    stage = make(scheduler=decay, accumulate=2)
    hooked: list[float] = []
    stage.on_before_optimizer_step = lambda optimizer: hooked.append(optimizer.param_groups[0]["initial_lr"])
    trainer = fit(stage, [short] * 5)
    assert trainer.global_step == 3  # two batches a step, and what an epoch has left over
    assert trainer.fit_loop.epoch_loop._batches_that_stepped == 3
    assert hooked == [1e-2, 1e-3] * 3  # callbacks see both sides step
    assert trainer.accumulate_grad_batches == 1  # or it could not fit again
    network, discriminator = (o.param_groups[0]["lr"] for o in trainer.optimizers)
    assert network == pytest.approx(1e-2 / 4)
    assert discriminator == pytest.approx(1e-3 / 4)


def test_accumulated_batches_make_the_mean_gradient(make) -> None:
    sgd = partial(torch.optim.SGD, lr=1e-3)
    quiet = {"optimizer": sgd, "adversarial": 0.0}  # the game compares within a batch
    clips = [made_clip(2), made_clip(2)]
    both = Clip(
        **{k: torch.cat([getattr(c, k) for c in clips]) for k in ("lab", "references", "flow", "visible", "has_flow")},
        starts_coloured=torch.cat([c.starts_coloured for c in clips]), names=["a", "b", "c", "d"],
    )  # fmt: skip
    one, two = make(accumulate=2, **quiet), make(**quiet)
    fit(one, clips)
    fit(two, [both])
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_gradients_of_each_side_are_clipped_by_themselves(make, short: Clip) -> None:
    sgd = partial(torch.optim.SGD, lr=1.0)
    stage = make(optimizer=sgd, clip=1e-3)
    sides = (stage.network, stage.discriminator)
    before = [state(side) for side in sides]
    fit(stage, [short])
    for side, was in zip(sides, before, strict=True):
        step = torch.cat([(p.detach() - was[name]).flatten() for name, p in side.named_parameters()])
        assert step.norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_trains_in_bfloat16_with_the_whole_loss_and_a_frozen_trunk(make, build_loss, short: Clip) -> None:
    stage = make(loss=build_loss("swintexco"))
    before = state(stage.network)
    fit(stage, [short], precision="bf16-mixed")
    assert moved(stage.network, before) == {name for name in before if not name.startswith("embed")}
    assert all(torch.isfinite(p).all() for p in stage.parameters())


def test_parts_learn_at_their_rates(make) -> None:
    stage = make(optimizer=partial(adamw_by_part, lr=1e-3, factors={"colornet": 2.0, "discriminator": 0.5}))
    stage._trainer = type("T", (), {"precision": "32-true"})()
    network, discriminator = stage.configure_optimizers()
    rates = {id(p): group["lr"] for group in network.param_groups for p in group["params"]}
    assert {name: rates[id(p)] for name, p in stage.network.named_parameters() if name.endswith("bias")} == {
        "embed.steps.0.bias": 1e-3, "embed.steps.1.bias": 1e-3, "paint.bias": 1e-3, "colornet.bias": 2e-3,
    }  # fmt: skip
    assert [group["lr"] for group in discriminator.param_groups] == [5e-4]


def test_a_run_resumes_with_both_optimizers(make, short: Clip, tmp_path) -> None:
    straight, first, second = make(), make(), make()
    fit(straight, [short], max_epochs=2)
    trainer = fit(first, [short])
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, max_epochs=2,
    )  # fmt: skip
    resumed.fit(second, DataLoader([short], batch_size=None), ckpt_path=tmp_path / "a.ckpt")
    for (name, a), (_, b) in zip(straight.named_parameters(), second.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)


@pytest.mark.parametrize("bad", [{"adversarial": -1.0}, {"accumulate": 0}])
def test_bad_options(make, bad) -> None:
    with pytest.raises(UserError):
        make(**bad)


def test_a_run_too_short_to_listen_says_so(make, short: Clip) -> None:
    with pytest.warns(UserWarning, match="ends after 0.5 epochs.*from epoch 1 on"):
        fit(make(after_epoch=1), [short] * 4, max_steps=2, max_epochs=None)


def test_float16_is_refused_in_one_line(make, clip: Clip) -> None:
    stage = make()
    stage._trainer = type("T", (), {"precision": "16-mixed"})()
    with pytest.raises(UserError, match="bf16-mixed"):
        stage.configure_optimizers()


def test_clips_of_foreign_references_teach_all_but_their_colour(make, clip: Clip) -> None:
    stage = make(adversarial=0.0)
    own = copy.copy(clip)
    foreign = replace(clip, own_colours=torch.tensor([True, False]))
    losses = [torch.stack([v.unweighted["l1"] for v in stage.losses(c)]).mean() for c in (own, foreign)]
    first = replace(clip, **{k: getattr(clip, k)[:1] for k in ("lab", "references", "flow", "visible", "has_flow")})
    alone = torch.stack(
        [v.unweighted["l1"] for v in stage.losses(replace(first, starts_coloured=torch.tensor([False])))]
    ).mean()
    assert losses[1].item() == pytest.approx(alone.item(), rel=1e-4)
    assert losses[0] != losses[1]
