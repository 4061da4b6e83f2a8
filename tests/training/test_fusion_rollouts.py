"""Fusions trained on kept rollouts."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flowchroma.app.rollouts import colour_forward
from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.data.rollouts.frames import SignalFrames
from flowchroma.data.rollouts.span_file import find_spans
from flowchroma.errors import UserError
from flowchroma.losses import WeightedSum
from flowchroma.models import (
    BlendFusion,
    FlowChroma,
    InverseVarianceFusion,
    OriginFusion,
    SimpleFusion,
    UNetFusion,
    roll_out,
)
from flowchroma.models.fusion.inverse_variance import propagated_rule
from flowchroma.models.state import Known
from flowchroma.training import FusionRolloutStage
from flowchroma.weights.files import Fingerprint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def system() -> FlowChroma:
    shipped = load_system()
    return FlowChroma(shipped.flow, shipped.matcher, OriginFusion(8, 2), recent=8, every=2).eval()


@pytest.fixture(scope="module")
def lab() -> torch.Tensor:
    """Seven frames of a camera that pans over squares."""
    rgb = torch.from_numpy(np.random.default_rng(0).integers(20, 235, (1, 3, 6, 22), np.uint8))
    wide = rgb.repeat_interleave(8, 2).repeat_interleave(8, 3)
    return torch.cat([rgb_to_lab(wide[..., 4 * t : 4 * t + 64]) for t in range(7)])


@torch.inference_mode()
def test_a_fusion_sees_in_what_was_kept_what_it_saw_in_the_film(system: FlowChroma, lab: torch.Tensor) -> None:
    kept = colour_forward(system, lab)
    assert kept.luma.shape == (6, 1, 48, 64)
    frames = [*roll_out(system, (one[None, :1] for one in lab), [lab[None, :1]], {0: Known(lab[:1, 1:])})][1:]
    recents = [frame.signals.recent is not None for frame in frames if frame.signals]
    assert True in recents
    assert False in recents
    again = kept.map(lambda _, value: value.float()).signals
    fused, rules = system.fusion.fuse(again), propagated_rule(again, system.fusion.error_model)
    for number, frame in enumerate(frames):
        torch.testing.assert_close(fused.ab[number], frame.ab[0], atol=0.2, rtol=0.02)
        torch.testing.assert_close(fused.confidence[number], frame.confidence[0], atol=5e-3, rtol=0.02)
        rule = propagated_rule(frame.signals, system.fusion.error_model)
        torch.testing.assert_close(rules.ab[number], rule.ab[0], atol=0.05, rtol=0.01)
        torch.testing.assert_close(rules.confidence[number], rule.confidence[0], atol=5e-3, rtol=0.02)


@torch.inference_mode()
def test_of_an_odd_span_the_last_frame_is_a_reference(system: FlowChroma, lab: torch.Tensor) -> None:
    even, odd = (colour_forward(system, lab, number) for number in (0, 1))
    assert (len(even.luma), len(odd.luma)) == (6, 5)
    torch.testing.assert_close(even.carried_ab[0], odd.carried_ab[0])
    assert (even.match_ab[:5] - odd.match_ab).abs().max() > 1


def stage_of(fusion, build_loss, *options: str) -> FusionRolloutStage:
    shipped = load_system()
    loss: WeightedSum = build_loss("rollouts", *options)
    stage = FusionRolloutStage(
        fusion, shipped.flow, shipped.matcher, loss, lambda parameters: torch.optim.Adam(parameters, 3e-3)
    )
    stage.log = stage.log_dict = lambda *_, **__: None
    return stage


@pytest.mark.parametrize("make", [lambda: OriginFusion(8, 1), lambda: SimpleFusion(14)], ids=["origin", "simple"])
def test_it_learns_not_to_carry_what_does_not_belong(make, build_loss, system, lab) -> None:
    """The carried colour is false where the frame does not look like its origin, whatever the flow says of it."""
    torch.manual_seed(0)
    fusion = make()
    frames = colour_forward(system, lab).map(lambda _, value: value.float())
    wrong = (torch.rand(6, 1, 6, 8) < 0.5).repeat_interleave(8, 2).repeat_interleave(8, 3)
    frames = replace(
        frames,
        carried_ab=torch.where(wrong, frames.true_ab + 30, frames.true_ab),
        carried_confidence=torch.full_like(frames.luma, 0.8),
        match_ab=frames.true_ab + 6,
        recent_similarity=torch.zeros_like(frames.luma),
        origin_similarity=torch.where(wrong, 0.75, 0.9),
        origin_difference=torch.zeros_like(frames.luma),
    )
    stage = stage_of(fusion, build_loss)
    frozen = {k: v.clone() for k, v in stage.network.state_dict().items() if not k.startswith("fusion.")}
    stage.train()
    assert not stage.network.matcher.training
    optimizer = stage.configure_optimizers()["optimizer"]
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in fusion.parameters()}
    losses = []
    for _ in range(40):
        loss = stage.training_step(frames, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(torch.equal(v, stage.network.state_dict()[k]) for k, v in frozen.items())


@torch.no_grad()
def test_validation_compares_with_the_rule_and_with_each_colour(build_loss, system, lab) -> None:
    frames = colour_forward(system, lab).map(lambda _, value: value.float())
    frames = replace(frames, names=["film 1"] * 6)
    stage = stage_of(OriginFusion(8, 1), build_loss)
    stage.eval().validation_step(frames, 0)
    figures = {name: metric.compute().item() for name, metric in stage.psnr.items()}
    assert set(figures) == {"psnr", "psnr_rule", "psnr_carried", "psnr_matched"}
    alone = stage_of(OriginFusion(8, 1), build_loss)
    alone.score({"psnr": stage.trained(frames.signals)}, frames.lab)
    assert figures["psnr"] == pytest.approx(alone.psnr["psnr"].compute().item(), abs=1e-3)
    alone = stage_of(OriginFusion(8, 1), build_loss)
    alone.score({"psnr": InverseVarianceFusion()(replace(frames.signals, origin=None))}, frames.lab)
    assert figures["psnr_rule"] == pytest.approx(alone.psnr["psnr"].compute().item(), abs=1e-3)
    (panel,) = stage.shown
    assert list(panel.images) == ["rule", "carried", "matched", "OriginFusion", "truth", "expected error", "true error"]


@pytest.mark.parametrize("fusion", [UNetFusion(8, 2), BlendFusion(8, 1)], ids=["unet", "blend"])
def test_fusions_that_carry_their_own_colour_on_are_refused(fusion, build_loss) -> None:
    with pytest.raises(UserError, match="leaves its own colour to the next frame"):
        stage_of(fusion, build_loss)


def flowchroma(cwd: Path, *typed: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", *typed]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def write_film(folder: Path) -> None:
    """Eight frames of a camera that pans over squares."""
    folder.mkdir(parents=True)
    wide = np.random.default_rng(1).integers(20, 235, (6, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    for number in range(8):
        Image.fromarray(wide[:, 2 * number : 2 * number + 64]).save(folder / f"{number}.png")


def test_rule_rollouts_and_fusion_as_typed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_film(tmp_path / "films" / name)
    small = ["trainer=cpu", "trainer.max_steps=1", "trainer.val_check_interval=1", "model.width=4", "model.depth=1"]
    kept = ["flowchroma.rollouts", "source=films", "spans=1", "length=[5,6]", "size=48", "device=cpu"]
    small_data = ["data.size=[32,32]", "data.batch_size=2"]
    trained = ["flowchroma.run", "stage=fusion_rollouts", *small, *small_data]
    both = ["flowchroma.run", "stage=bidirectional", *small, *small_data]
    for line in (
        ["flowchroma.run", "stage=fusion", "model=origin", "data=sample", "data.size=[32,32]", "loss=l1", *small,
         "optimizer.lr=1e-12", "hydra.run.dir=rule"],
        [*kept, "output=kept/first", "checkpoint=rule"],
        [*trained, "data.root=kept", "weights.system=rule", "hydra.run.dir=one"],
    ):  # fmt: skip
        done = flowchroma(tmp_path, *line)
        assert done.returncode == 0, done.stderr
    first = find_spans(tmp_path / "kept" / "first")[0]
    assert isinstance(first.read(0), SignalFrames)
    one = Fingerprint.of(load_system(tmp_path / "one"))
    assert one.networks == first.made_by.networks
    assert one.fusion != first.made_by.fusion
    for line, said in (
        ([*both, "data.root=kept", "weights.system=rule"], "trains=bidirec"),
        ([*kept, "output=kept/first", "checkpoint=rule", "trains=bidirectional"], "that train the fusion"),
        ([*kept, "output=third", "trains=nothing"], "trains must be fusion or bidirectional"),
    ):
        refused = flowchroma(tmp_path, *line)
        assert refused.returncode in (1, 2)
        assert said in refused.stderr, refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
