import csv
import resource
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.files.checkpoints import damage
from flowchroma.training.checkpoint_files import LAST, PREVIOUS, CheckpointFiles
from flowchroma.training.metrics_file import MetricsFile
from flowchroma.training.random_state import random_state, set_random_state


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def short_files():
    """No file of this process may have more than half a MiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def fills(folder: Path, said: str) -> None:
    files, path = CheckpointFiles(), folder / LAST
    files.save_checkpoint({"weights": torch.zeros(50_000)}, path)
    files.save_checkpoint({"weights": torch.ones(50_000)}, path)
    with pytest.raises(UserError, match=said) as refusal:
        files.save_checkpoint({"weights": torch.ones(500_000)}, path)
    assert "\n" not in str(refusal.value)
    assert "what was written before is whole" in str(refusal.value)
    assert {p.name for p in folder.iterdir()} == {LAST, PREVIOUS}
    for name, value in ((LAST, 1.0), (PREVIOUS, 0.0)):
        assert damage(folder / name) is None
        assert files.load_checkpoint(folder / name)["weights"].unique() == value


def test_a_full_disk_leaves_what_was_there(small_disk: Path) -> None:
    fills(small_disk, "No space left on device")


def test_a_file_that_grows_too_large_leaves_what_was_there(short_files, tmp_path: Path) -> None:
    fills(tmp_path, "File too large")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_curves_are_kept_on_a_full_disk(small_disk: Path) -> None:
    curves = MetricsFile(str(small_disk / "metrics.csv"), flush_every=1)
    curves.log_metrics({"train/loss": 0.5}, 0)
    (small_disk / "film").write_bytes(bytes(2**20 - 3 * 4096))

    def log_for_long() -> None:
        for step in range(1, 2000):
            curves.log_metrics({"train/loss": step / 7, **({"val/psnr": 30.0} if step == 300 else {})}, step)

    with pytest.raises(UserError, match=r"metrics.csv cannot be written: No space left"):
        log_for_long()
    rows = read(small_disk / "metrics.csv")
    assert [int(row["step"]) for row in rows] == list(range(len(rows)))
    assert len(rows) > 10
    assert float(rows[-1]["train/loss"]) == pytest.approx((len(rows) - 1) / 7)
    curves.finalize("failed")  # warns and goes on to what else has to be closed


def test_curves_gain_columns_and_go_on_where_they_are_told(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = MetricsFile(str(path))
    for step in range(5):
        first.log_metrics({"train/loss": torch.tensor(0.1) * step, "epoch": 0}, step)
    first.save()
    first.log_metrics({"val/psnr": 30.5}, 4)
    first.save()
    with path.open("a") as file:
        file.write("0,5,0.7")  # killed while writing
    second = MetricsFile(str(path))
    second.rewind(3)
    second.log_metrics({"other": 1.0}, 3)
    second.save()
    rows = read(path)
    assert [int(row["step"]) for row in rows] == [0, 1, 2, 3]
    assert list(rows[0]) == ["epoch", "other", "step", "train/loss", "val/psnr"]
    assert [row["train/loss"] for row in rows[:3]] == [str((torch.tensor(0.1) * s).item()) for s in range(3)]
    assert rows[0]["epoch"] == "0"


def test_a_new_run_does_not_go_on_with_another_ones_curves(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,train/loss\n0,1.0\n")
    curves = MetricsFile(str(tmp_path / "metrics.csv"))
    curves.log_metrics({"train/loss": 0.5}, 7)
    curves.save()
    assert [row["step"] for row in read(tmp_path / "metrics.csv")] == ["7"]


def test_random_streams_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    import random

    import numpy as np

    def drawn():
        return torch.rand(2).tolist(), np.random.rand(), np.random.randn(), random.random(), random.gauss(0, 1)

    drawn()
    CheckpointFiles().save_checkpoint({"random": random_state()}, tmp_path / LAST)
    then = drawn()
    assert drawn() != then
    set_random_state(CheckpointFiles().load_checkpoint(tmp_path / LAST)["random"])
    assert drawn() == then
