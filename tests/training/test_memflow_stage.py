"""Stage memflow: what it trains on, in which precision, and what its validation measures."""

from dataclasses import replace
from functools import partial

import lightning
import pytest
import torch
from hydra.utils import instantiate

from flowchroma import metrics, ops
from flowchroma.errors import UserError
from flowchroma.models import MemFlow
from flowchroma.models.memflow import Architecture
from flowchroma.training import MemFlowStage
from flowchroma.types import Clip

ALL = ["loss.census=0.3", "loss.photometric=0.3", "loss.smoothness=0.1"]


SMALL = Architecture(
    channels=1, widths=(16, 24, 32), blocks=1, strides=(4, 1, 2, 1), context_norm="instance", features=32, hidden=32,
    levels=1, radius=3, motion_widths=(32, 32, 24, 16), kernels=(7, 7), expansion=1.0,
)  # fmt: skip


def small_memflow(**options) -> MemFlow:
    """A network that corrects its flow on the coarse grid, so that it has one iterate an iteration."""
    return MemFlow(SMALL, mask_width=32, memory_pool=4, average_tokens=256, **options)


def adam(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, 1e-3)


@pytest.fixture
def stage(build_loss):
    """A stage whose network moves its flow already, with every term."""

    def made(**options) -> MemFlowStage:
        model = small_memflow(iterations=3, start=partial(ops.lucas_kanade, levels=5, finest=3, iterations=2))
        with torch.no_grad():
            for parameter in model.update_block.flow_head.ffn2[-1].parameters():
                parameter.add_(0.02 * torch.randn_like(parameter))
        stage = MemFlowStage(model, build_loss("flow", *ALL), adam, **options)
        stage.log = lambda *_, **__: None
        return stage

    return made


def without_flow(clip: Clip) -> Clip:
    return replace(clip, has_flow=torch.zeros_like(clip.has_flow))


def half_with_flow(clip: Clip) -> Clip:
    return replace(clip, has_flow=torch.tensor([True, False]))


def test_correlation_warping_and_flow_are_float32_under_bfloat16(stage, clip: Clip, monkeypatch) -> None:
    made, kinds = stage(), {"lookup": set(), "warp": set(), "encoder": set()}
    lookup, sample = ops.CorrelationPyramid.lookup, ops.warp.sample_at

    def spied_lookup(self, points):
        found = lookup(self, points)
        kinds["lookup"] |= {level.dtype for level in self.levels} | {found.dtype}
        return found

    def spied_sample(image, points, padding="border"):
        kinds["warp"] |= {image.dtype, points.dtype}
        return sample(image, points, padding)

    made.network.fnet.register_forward_hook(lambda _, __, features: kinds["encoder"].add(features.dtype))
    monkeypatch.setattr(ops.CorrelationPyramid, "lookup", spied_lookup)
    monkeypatch.setattr(ops.warp, "sample_at", spied_sample)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predictions = list(made.predictions(clip))
    assert kinds["encoder"] == {torch.bfloat16}  # or nothing was saved
    assert kinds["lookup"] == kinds["warp"] == {torch.float32}
    assert {flow.dtype for p in predictions for flow in (p.estimate.flow, *p.estimate.iterates)} == {torch.float32}


@pytest.mark.parametrize("known", [None, without_flow, half_with_flow])
@pytest.mark.parametrize("occlusion", ["inside", "forward_backward"])
def test_losses_and_gradients_under_bfloat16(stage, clip: Clip, occlusion: str, known) -> None:
    clip = clip if known is None else known(clip)
    made = stage(occlusion=occlusion)
    exactly = made.loss(list(made.predictions(clip))[-1]).unweighted
    with torch.autocast("cpu", dtype=torch.bfloat16):
        roughly = made.loss(list(made.predictions(clip))[-1]).unweighted
        total = made.training_step(clip, 0)
    assert total.dtype == torch.float32
    for name, value in exactly.items():
        torch.testing.assert_close(roughly[name], value, rtol=0.05, atol=2e-3, msg=lambda m, n=name: f"{n}: {m}")
    total.backward()
    gradients = {name: p.grad for name, p in made.network.named_parameters()}
    assert [name for name, g in gradients.items() if g is None] == []
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients.values())


def test_iterates_are_detached(stage, clip: Clip) -> None:
    model = stage().network
    first, second = (model.encode(clip.luma[:, t]) for t in (1, 0))
    empty = first.key[:, :0]
    one, *_, last = model.iterate(first, second.features, empty, empty)
    of_flow, of_hidden = torch.autograd.grad(last.flow.sum(), [one.flow, one.hidden], allow_unused=True)
    assert of_flow is None
    assert of_hidden is not None
    assert of_hidden.abs().sum() > 0


class Translating(torch.nn.Module):
    """Says that frame t came t pixels from the left, and from behind a bar that is not there in reverse."""

    def __init__(self, film: torch.Tensor, torn: slice = slice(20, 30)) -> None:
        super().__init__()
        self.film, self.torn, self.calls = film, torn, 0
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, luma: torch.Tensor) -> list[list[torch.Tensor]]:
        self.calls += 1
        flows = []
        count = luma.shape[1]
        reverse = not torch.equal(luma, self.film)
        assert torch.equal(luma.flip(1) if reverse else luma, self.film)
        assert reverse is not torch.is_grad_enabled()
        assert reverse is (self.calls == 2)  # in the order that older autocasts need
        for t in range(1, count):
            flow = torch.zeros(len(luma), 2, *luma.shape[-2:])
            flow[:, 0] = count - t if reverse else -t
            if reverse:
                flow[:, 0, self.torn] = 0  # these rows of the frame before went elsewhere
            flows.append([self.scale * flow, self.scale * flow])
        return flows


def test_pixels_are_seen_where_the_reversed_clip_leads_back(build_loss, clip: Clip) -> None:
    clip = half_with_flow(clip)
    stage = MemFlowStage(Translating(clip.luma), build_loss("flow"), adam, occlusion="forward_backward")
    for t, p in enumerate(stage.predictions(clip), start=1):
        expected = torch.ones(2, 1, 64, 64)
        expected[..., :t] = 0  # from outside the frame
        expected[..., 20:30, :] = 0
        assert torch.equal(p.estimate.visible, expected), t
    assert stage.network.calls == 2


def test_flows_that_disagree_in_most_of_a_frame_hide_nothing(build_loss, clip: Clip) -> None:
    network = Translating(clip.luma, torn=slice(0, 40))
    stage = MemFlowStage(network, build_loss("flow"), adam, occlusion="forward_backward")
    for p in stage.predictions(half_with_flow(clip)):
        assert p.estimate.visible.min() == 1


@pytest.mark.parametrize(("occlusion", "known"), [("inside", without_flow), ("forward_backward", lambda c: c)])
def test_a_second_pass_is_made_only_if_asked_for_and_needed(build_loss, clip: Clip, occlusion: str, known) -> None:
    clip = known(clip)
    stage = MemFlowStage(Translating(clip.luma), build_loss("flow"), adam, occlusion=occlusion)
    assert all(p.estimate.visible is None for p in stage.predictions(clip))
    assert stage.network.calls == 1


def test_another_occlusion_is_refused(stage) -> None:
    with pytest.raises(UserError, match="occlusion=both is unknown: use inside or forward_backward"):
        stage(occlusion="both")


def validated(stage: MemFlowStage, *clips: Clip) -> dict[str, float]:
    del stage.log  # the stub
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, barebones=False
    )
    loader = torch.utils.data.DataLoader(clips, batch_size=None)
    return trainer.validate(stage, dataloaders=loader, verbose=False)[0]


@pytest.mark.parametrize(
    ("known", "figures"),
    [
        ([lambda c: c], {"val/epe", "val/ause"}),
        ([without_flow], {"val/ause_color"}),
        ([half_with_flow], {"val/epe", "val/ause", "val/ause_color"}),
        ([without_flow, lambda c: c], {"val/epe", "val/ause", "val/ause_color"}),
    ],
)
def test_validation_reports_what_can_be_measured(stage, clip: Clip, known, figures: set[str]) -> None:
    found = validated(stage(), *(change(clip) for change in known))
    assert set(found) == {"val/psnr", "val/psnr_hold"} | figures
    assert all(torch.isfinite(torch.tensor(value)) for value in found.values())


@torch.no_grad()
def test_validation_measures_the_confidence_against_the_error(stage, clip: Clip) -> None:
    made = stage()
    model, clip = made.network, half_with_flow(clip)
    found = validated(made, clip)
    _, state = model.eval().step(clip.luma[:, 0], None)
    epe, ause, ause_color = [], [], []
    for t in (1, 2):
        flow, state = model.step(clip.luma[:, t], state)
        error = (flow.flow[:1] - clip.flow[:1, t - 1]).double().square().sum(1, keepdim=True).sqrt()
        epe.append(error.mean())
        ause.append(metrics.ause(error, flow.confidence[:1]))
        color = ops.backward_warp(clip.ab[1:, t - 1], flow.colour_flow[1:]) - clip.ab[1:, t]
        ause_color.append(metrics.ause(color.square().sum(1, keepdim=True).sqrt(), flow.confidence[1:]))
    expected = {"val/epe": epe, "val/ause": ause, "val/ause_color": ause_color}
    for name, values in expected.items():
        assert found[name] == pytest.approx(sum(float(v) for v in values) / 2, rel=1e-4), name


def test_self_supervision_learns_without_exact_flow(compose, clip: Clip) -> None:
    config = compose("stage=memflow", "loss=flow_self", "stage.module.occlusion=forward_backward")
    small = {"lab": clip.lab[:, :2, :, :32, :48], "visible": clip.visible[:, :1, :, :32, :48]}
    clip = without_flow(replace(clip, flow=torch.full((2, 1, 2, 32, 48), torch.nan), **small))
    model = small_memflow(iterations=2)
    stage = MemFlowStage(model, instantiate(config.loss), adam, occlusion=config.stage.module.occlusion)
    stage.log = lambda *_, **__: None
    assert "epe" not in stage.loss.weights
    optimizer = torch.optim.Adam(stage.parameters(), 1e-3)
    errors = []
    for _ in range(16):
        optimizer.zero_grad()
        stage.training_step(clip, 0).backward()
        torch.nn.utils.clip_grad_norm_(stage.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            (p,) = stage.predictions(clip)
        errors.append((p.estimate.flow - torch.tensor([-2.0, 0]).view(1, 2, 1, 1)).norm(dim=1).mean().item())
    # Not by the loss, which is small too where everything is masked.
    assert errors[-1] < 0.5 * errors[0]
