import csv
import subprocess
import sys
from pathlib import Path

import pytest

TINY = [
    "data.size=[32,32]", "data.clip_length=2", "data.batch_size=1", "data.num_workers=0", "data.val_clips=1",
    "data.val_length=2", "trainer.max_steps=1", "loss=l1", "weights.flow=null", "weights.matcher=null",
]  # fmt: skip


def test_a_job_is_pickled_by_its_name() -> None:
    import cloudpickle

    from flowchroma.app.run.job import run_job

    assert cloudpickle.loads(cloudpickle.dumps(run_job)) is run_job


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_runs_the_jobs_of_a_sweep_as_it_is_typed(tmp_path: Path, launcher: str) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    tmp_path = tmp_path / "c,d=e (f) [g] #h 'i' \"j\" é"
    typed = ["-m", "model=placeholder,simple", f"hydra/launcher={launcher}", f"hydra.sweep.dir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", "flowchroma.run", *typed, *TINY],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    with (tmp_path / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["model"]: row["state"] for row in table} == {"placeholder": "finished", "simple": "finished"}
    assert all(float(row["val/psnr"]) > 5 for row in table)
    assert "2 runs by val/psnr" in done.stdout


@pytest.mark.parametrize(
    "typed",
    [
        ["+optimizer.nope=1"],
        ["-m", "seed=0,1", "hydra/launcher=submitit_slurm"],
        ["run_dir=null"],
        ["scheduler=null"],
        ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"],
    ],
)
def test_what_no_run_can_be_made_of_is_one_line(tmp_path: Path, typed: list[str]) -> None:
    if "hydra/launcher=submitit_slurm" in typed:
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    where = [f"hydra.run.dir={tmp_path}/c,d=e (f) [g]", f"hydra.sweep.dir={tmp_path}/sweep", "model=simple"]
    done = subprocess.run(
        [sys.executable, "-m", "flowchroma.run", *typed, *where, *TINY],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if line.startswith("flowchroma: ")]
    assert done.returncode == 2, done.stderr[-3000:]
    assert len(said) == 1
    assert "Traceback" not in done.stderr
