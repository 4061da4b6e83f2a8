import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from flowchroma import processes
from flowchroma.app.run.launching import check_launchable
from flowchroma.errors import UserError
from flowchroma.losses.masking import masked_mean
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
    logged = rows(tmp_path / "alone" / "metrics.csv")[0]
    names = ["train/loss", *(name for name in logged if name.endswith("_weighted") or name.startswith("val/"))]
    assert "val/psnr" in names
    for name in names:
        one, two = (figures(rows, tmp_path / folder, name) for folder in ("alone", "together"))
        assert two == pytest.approx(one, abs=1e-5 if name.startswith("train/") else 1e-3), name
    return len(figures(rows, tmp_path / "together", "train/loss"))


def test_two_processes_are_one_with_twice_the_batch(runs, rows, tiny, tmp_path: Path) -> None:
    """Clips, losses over unequal masks, gradients and metrics."""
    assert equal(runs, rows, tiny("fusion", "trainer.max_steps=3"), tmp_path) == 3


def test_two_processes_train_two_sides(runs, rows, tiny, tmp_path: Path) -> None:
    """A step of two batches: the discriminator's gradients are shared at the second alone, and it is not yet heard."""
    few = ["data.size=[48,48]", "trainer.max_steps=1", "trainer.accumulate_grad_batches=2", "data.batch_size=1"]
    options = [*tiny("swintexco_gan", *few), "trainer=ddp_cpu", f"hydra.run.dir={tmp_path}"]
    assert runs(["processes=2", *options]) == [[0, 0]]
    assert len(figures(rows, tmp_path, "train/l1")) == 2
    assert len(rows(tmp_path / "results.csv")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["memflow", "swintexco", "fusion"])
def test_two_processes_are_one_over_twenty_steps(runs, rows, tiny, tmp_path: Path, stage: str) -> None:
    loss = [] if stage == "memflow" else ["loss.weights=shipped", "loss.perceptual=0.05", "loss.contextual=0.1"]
    loss += [] if stage == "memflow" else [f"loss={'matching' if stage == 'swintexco' else 'flowchroma'}"]
    assert equal(runs, rows, tiny(stage, "trainer.max_steps=20", *loss), tmp_path) == 20


@pytest.mark.slow
def test_a_sweep_of_runs_of_two_processes_each(rows, tiny, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flowchroma.run", "-m", "seed=0,1", *tiny("memflow"), "trainer=ddp_cpu"]
    done = subprocess.run(
        [*command, "trainer.max_steps=2", f"hydra.sweep.dir={tmp_path}"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(row["seed"] for row in rows(tmp_path / "results.csv")) == ["0", "1"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "0_memflow_memflow_small", "1_memflow_memflow_small",
    ]  # fmt: skip


def test_several_processes_are_refused_where_they_cannot_be_started(compose, monkeypatch) -> None:
    """A launcher's own processes are something else than flowchroma.run."""
    launched = SimpleNamespace(__spec__=SimpleNamespace(name="joblib.externals.loky.backend.popen_loky_posix"))
    monkeypatch.setitem(sys.modules, "__main__", launched)
    trainer = instantiate(OmegaConf.merge(compose("trainer=ddp_cpu").trainer, {"default_root_dir": None}))
    with pytest.raises(UserError, match="use submitit_slurm with trainer=slurm"):
        check_launchable(trainer)


def test_only_what_learns_is_shared_between_processes(build, build_loss) -> None:
    """Frozen networks and feature networks are out of DDP's buckets."""
    fusion = FusionStage(
        build("simple"),
        build("memflow_small"),
        build("swintexco_small"),
        build_loss("flowchroma", "loss.weights=shipped"),
        torch.optim.SGD,
    )
    shared = {id(p) for p in fusion.parameters() if p.requires_grad}
    assert shared == {id(p) for p in fusion.trained.parameters()}


def test_a_process_divides_by_the_mean_weight_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    error, weight = torch.rand(4, 2, 5, 5), torch.rand(4, 1, 5, 5)
    weight[:2] *= 0.1
    whole = masked_mean(error, weight)
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    monkeypatch.setattr(processes, "all_reduce_sum", lambda value: weight.sum())
    halves = [masked_mean(error[half], weight[half]) for half in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(torch.stack(halves).mean(), whole)
