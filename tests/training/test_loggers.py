from pathlib import Path

import pytest

from flowchroma.training import Wandb


def run_id(folder: Path) -> str:
    """The id that a run of wandb's own gets, offline."""
    logger = Wandb(project="p", save_dir=str(folder), offline=True, id_file=str(folder / "wandb_id.txt"))
    logger.log_metrics({"val/psnr": 30.0}, step=1)
    found = logger.experiment.id
    logger.close()
    return found


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")


def test_a_run_that_resumes_goes_on_in_the_same_wandb_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_id(tmp_path / "a")
    assert run_id(tmp_path / "a") == first == (tmp_path / "a" / "wandb_id.txt").read_text()
    assert run_id(tmp_path / "b") != first
    monkeypatch.setenv("WANDB_RUN_ID", "chosen")
    assert run_id(tmp_path / "a") == "chosen"


def test_wandb_resume_of_the_user_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RESUME", "never")
    assert Wandb(project="p", save_dir=str(tmp_path), offline=True)._wandb_init["resume"] == "never"
    monkeypatch.delenv("WANDB_RESUME")
    assert Wandb(project="p", save_dir=str(tmp_path), offline=True)._wandb_init["resume"] == "allow"
