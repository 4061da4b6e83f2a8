from pathlib import Path

import pytest
import torch

from flowchroma.losses import color_loss
from flowchroma.losses.masking import masked_mean
from flowchroma.ops import processes
from flowchroma.training import FusionStage

# Unequal numbers of clips to validate, and a last batch of an epoch that is smaller.
SHARED = ["data.val_clips=5", "data.sources.sample.clips_per_epoch=14", "trainer.val_check_interval=2"]


def figures(rows, folder: Path, *names: str) -> list[float]:
    return [float(row[name]) for row in rows(folder / "metrics.csv") for name in names if row.get(name)]


def equal(runs, rows, common: list[str], tmp_path: Path) -> int:
    """Compare all that is logged, and tell how many steps there were."""
    alone = [*common, *SHARED, "data.batch_size=4", f"hydra.run.dir={tmp_path / 'alone'}"]
    together = [*common, *SHARED, "data.batch_size=2", "trainer=ddp_cpu", f"hydra.run.dir={tmp_path / 'together'}"]
    assert runs(alone, ["processes=2", *together]) == [0, [0, 0]]
    names = [name for name in rows(tmp_path / "alone" / "metrics.csv")[0] if name.startswith(("train/", "val/"))]
    assert {"train/loss", "val/psnr"} < set(names)
    for name in names:
        one, two = (figures(rows, tmp_path / folder, name) for folder in ("alone", "together"))
        assert two == pytest.approx(one, abs=1e-5 if name.startswith("train/") else 1e-3), name
    return len(figures(rows, tmp_path / "together", "train/loss"))


def test_two_processes_are_one_with_twice_the_batch(runs, rows, tiny, tmp_path: Path) -> None:
    """Clips, losses over unequal masks, gradients and metrics."""
    assert equal(runs, rows, tiny("fusion", "trainer.max_steps=3"), tmp_path) == 3


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["memflow", "swintexco", "fusion"])
def test_two_processes_are_one_over_twenty_steps(runs, rows, tiny, tmp_path: Path, stage: str) -> None:
    loss = [] if stage == "memflow" else ["loss.weights=shipped", "loss.perceptual=0.05", "loss.contextual=0.1"]
    loss += [] if stage == "memflow" else [f"loss={'matching' if stage == 'swintexco' else 'flowchroma'}"]
    assert equal(runs, rows, tiny(stage, "trainer.max_steps=20", *loss), tmp_path) == 20


def test_only_what_learns_is_shared_between_processes(build) -> None:
    """Frozen networks and feature networks are out of DDP's buckets."""
    fusion = FusionStage(
        build("simple"),
        build("memflow_small"),
        build("swintexco_small"),
        color_loss(weights="shipped"),
        torch.optim.SGD,
    )
    shared = {id(p) for p in fusion.parameters() if p.requires_grad}
    assert shared == {id(p) for p in fusion.trained.parameters()}


def test_a_process_divides_by_the_mean_weight_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    error, weight = torch.rand(4, 2, 5, 5), torch.rand(4, 1, 5, 5)
    weight[:2] *= 0.1
    whole = masked_mean(error, weight)
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "total", lambda value: weight.sum())
    halves = [masked_mean(error[half], weight[half]) for half in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(torch.stack(halves).mean(), whole)
