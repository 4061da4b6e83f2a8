from dataclasses import replace

import pytest
import torch

from flowchroma.app.systems import load_system
from flowchroma.data.rollouts.span_file import find_spans
from flowchroma.losses import WeightedSum
from flowchroma.models import BidirectionalFusion
from flowchroma.models.estimate import combine
from flowchroma.training import BidirectionalStage
from flowchroma.weights.files import Fingerprint

from .test_resume import DRAWS, same

TINY = [
    "stage=bidirectional",
    "model.width=4",
    "model.depth=1",
    "data.size=[32,32]",
    "data.batch_size=2",
    "data.num_workers=0",
    "data.val_frames=2",
    "trainer.max_steps=6",
    "trainer.val_check_interval=4",
    "trainer.log_every_n_steps=1",
    "callbacks.resumable.every_n_steps=1",
]


@pytest.fixture
def rollouts(write_rollouts):
    """Rollouts of the system that ships, four batches an epoch."""
    return write_rollouts(Fingerprint.of(load_system()), films=["a", "b", "c"], frames=4)


@pytest.fixture
def stage(build_loss) -> BidirectionalStage:
    system = load_system()
    loss: WeightedSum = build_loss("rollouts")
    networks = BidirectionalFusion(8, 1), system.flow, system.matcher, system.fusion
    made = BidirectionalStage(*networks, loss, lambda parameters: torch.optim.Adam(parameters, 3e-3))
    made.log = made.log_dict = lambda *_, **__: None
    return made


def test_it_learns_what_the_directions_are_worth_and_the_system_does_not_change(stage, rollouts) -> None:
    spans = find_spans(rollouts)
    frames = type(spans[0].read(0)).join([span.read(n) for span in spans for n in range(3)])
    # What is expected of the directions is told the wrong way round.
    frames = replace(frames, forward_error=frames.backward_error, backward_error=frames.forward_error)
    frozen = {k: v.clone() for k, v in stage.network.state_dict().items() if not k.startswith("bidirectional.")}
    stage.train()
    assert not any(
        module.training for part in ("flow", "matcher", "fusion") for module in getattr(stage.network, part).modules()
    )
    optimizer = stage.configure_optimizers()["optimizer"]
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in stage.trained.parameters()}
    losses = []
    for _ in range(40):
        loss = stage.training_step(frames, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(v, stage.network.state_dict()[k]) for k, v in frozen.items())


@torch.no_grad()
def test_validation_compares_with_the_untrained_mean_and_with_one_direction(stage, rollouts) -> None:
    frames = find_spans(rollouts)[0].read(1)
    stage.eval().validation_step(frames, 0)
    figures = {name: metric.compute().item() for name, metric in stage.psnr.items()}
    # 2 CIELAB units off forward; weighed with 6 off the other way, 1.9.
    assert figures["psnr_both"] > figures["psnr_forward"] > figures["psnr_both"] - 1
    assert figures["psnr"] > figures["psnr_both"]  # not trained yet: smoothed, where pixels err one by one
    found = frames.found
    true = (stage.trained(found).ab - frames.true_ab).norm(dim=1).mean()
    ratio = combine([found.forward, found.backward]).error.mean() / true
    assert stage.measured["expected_over_true"].compute() == pytest.approx(ratio.item(), rel=1e-3)
    assert set(stage.validation_metrics) == {"val/psnr", "val/psnr_both", "val/psnr_forward", "val/expected_over_true"}
    (panel,) = stage.shown
    assert {image.shape for image in panel.images.values()} == {(3, 48, 64)}
    assert panel.caption == "a 14"


def test_killed_it_goes_on_to_the_bit(runs, rollouts, interrupt, curves, tmp_path) -> None:
    """In the second epoch, with a worker that reads ahead."""
    common = [*TINY, "data.num_workers=1", f"data.root={rollouts}", DRAWS]
    here = [*common, f"hydra.run.dir={tmp_path / 'killed'}", "resume=last"]
    ends = runs([*common, f"hydra.run.dir={tmp_path / 'whole'}"], [*here, *interrupt(after=5)], here)
    assert ends == [0, -9, 0]
    assert curves(tmp_path / "whole") == curves(tmp_path / "killed")
    assert len(curves(tmp_path / "whole")) > 6
    same(tmp_path / "whole", tmp_path / "killed")
