from pathlib import Path

import pytest
import torch

from flowchroma.training.checkpoint_files import LAST


def test_a_run_that_is_told_to_stop_saves_and_goes_on_to_the_bit(
    runs, tiny, interrupt, curves, capsys, tmp_path: Path
) -> None:
    """Each time another signal, the first of them to the data workers too, and at other places than where it saves."""
    common = tiny("memflow", "callbacks.resumable.every_n_steps=100", "trainer.val_check_interval=100")
    here = [*common, "data.num_workers=1", f"hydra.run.dir={tmp_path / 'stopped'}", "resume=last"]
    ends = runs(
        [*common, f"hydra.run.dir={tmp_path / 'whole'}"],
        [*here, *interrupt(after=3, name="SIGTERM", hook="on_before_backward", whom="all")],
        [*here, *interrupt(after=6, name="SIGUSR1")],
        [*here, *interrupt(after=8, name="SIGINT")],
        here,
    )
    assert ends == [0, 143, 138, 130, 0]
    assert curves(tmp_path / "whole") == curves(tmp_path / "stopped")
    said = [line for line in capsys.readouterr().err.splitlines() if "stopped by" in line]
    assert [line.split("saved in")[0] for line in said] == [
        f"flowchroma: stopped by {name} at step {step}, "
        for name, step in (("SIGTERM", 4), ("SIGUSR1", 6), ("SIGINT", 8))
    ]
    assert "go on with the same command and resume=last" in said[0]


def test_a_signal_to_one_process_stops_all_and_all_go_on(runs, tiny, interrupt, curves, tmp_path: Path) -> None:
    common = tiny("memflow", "trainer=ddp_cpu", "data.batch_size=1", "trainer.max_steps=4", "data.val_clips=3")
    common += ["+callbacks.draws._target_=interrupting.Draws"]
    here = ["processes=2", *common, f"hydra.run.dir={tmp_path / 'stopped'}", "resume=last"]
    ends = runs(
        ["processes=2", *common, f"hydra.run.dir={tmp_path / 'whole'}"],
        [*here, *interrupt(after=2, name="SIGTERM", rank=1)],
        here,
    )
    assert ends == [[0, 0], [143, 0], [0, 0]]
    assert curves(tmp_path / "whole") == curves(tmp_path / "stopped")


def test_a_dead_data_worker_is_named(runs, tiny, interrupt, capsys, tmp_path: Path) -> None:
    common = tiny("memflow", "data.num_workers=1", f"hydra.run.dir={tmp_path}", "callbacks.resumable.every_n_steps=1")
    assert runs([*common, *interrupt(after=4, whom="workers")]) == [1]
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    assert len(said) == 1
    assert "a process that reads data died" in said[0]
    assert "resume=last" in said[0]
    assert (tmp_path / "checkpoints" / LAST).is_file()


@pytest.mark.parametrize("what", ["clip", pytest.param("gradient", marks=pytest.mark.slow)])
def test_a_step_that_is_not_finite_changes_nothing_in_any_process(runs, rows, tiny, tmp_path: Path, what: str) -> None:
    """One process alone meets it; a gradient, after the processes have shared theirs."""
    spoil = [f"+callbacks.spoil.{k}={v}" for k, v in {"what": what, "rank": 1, "batches": "[1,2]"}.items()]
    spoil += ["+callbacks.spoil._target_=interrupting.Spoil", "+callbacks.weights._target_=interrupting.Weights"]
    spoil += ["trainer=ddp_cpu", "data.batch_size=1", "callbacks=ema"]
    common = tiny("memflow", *spoil, "trainer.max_steps=4", f"hydra.run.dir={tmp_path}")
    assert runs(["processes=2", *common]) == [[0, 0]]
    logged = [row for row in rows(tmp_path / "metrics.csv") if row["train/loss"]]
    weights = [(row["weights/0"], row["weights/1"]) for row in logged]
    assert all(one == other for one, other in weights)
    assert weights[0] == weights[1] == weights[2] != weights[3]
    assert [row["train/skipped_steps"] for row in logged] == ["", "1.0", "2.0", "2.0"]
    noted = rows(tmp_path / "skipped_steps.csv")
    assert [row["step"] for row in noted] == ["1", "2"]
    assert all(len(row["clips"].split("; ")) == 2 for row in noted)


def test_too_many_of_them_end_the_run_and_name_the_clips(runs, rows, tiny, capsys, tmp_path: Path) -> None:
    spoil = ["+callbacks.spoil._target_=interrupting.Spoil", "+callbacks.spoil.batches=[2,4,5,6]"]
    common = tiny("memflow", *spoil, "callbacks.guard.in_a_row=3", f"hydra.run.dir={tmp_path}")
    assert runs(common, [*common, "resume=last"]) == [1, 1]
    first, again = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    noted = rows(tmp_path / "skipped_steps.csv")
    assert [row["step"] for row in noted] == ["2", "4", "5", "6"]
    assert {row["not finite"] for row in noted} == {"color epe"}
    assert "3 steps in a row had a loss or gradient that is not finite" in first
    assert noted[-1]["clips"] in first
    assert "skipped_steps.csv" in first
    assert again == first  # counted on from the last save


def test_a_checkpoint_that_asks_for_code_ends_a_run_in_one_line(runs, tiny, capsys, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    torch.save({"state_dict": Trap(tmp_path / "sprung")}, tmp_path / "checkpoints" / LAST)
    assert runs(tiny("memflow", f"hydra.run.dir={tmp_path}", "resume=last")) == [1]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "code in a file is never run" in said[0]
    assert not (tmp_path / "sprung").exists()


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)
