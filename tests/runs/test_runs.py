from pathlib import Path

import pytest
import yaml

from flowchroma.runs import find_runs, read_run


def test_a_finished_run_is_read(make_run):
    run = read_run(make_run("a", 31.5, seed=3))
    assert (run.state, run.detail, run.name) == ("finished", "", "a")
    assert run.config["optimizer.lr"] == 0.001
    assert run.config["data.size"] == [48, 48]
    assert not any(key.startswith("record") or key == "name" for key in run.config)
    assert run.curves["train/loss"] == ([0, 10, 20, 30], [1, pytest.approx(1 / 11), pytest.approx(1 / 21), 1 / 31])
    assert run.best_value() == 31.5
    assert run.results == {"val/psnr": 31.5, "val/psnr_hold": 20.0}
    assert run.last_step == 39
    assert list(run.panels) == [40]


def test_a_run_cut_off_in_the_middle_of_a_line_is_read_as_far_as_it_got(make_run):
    path = make_run("a", None)
    text = (path / "metrics.csv").read_text()
    (path / "metrics.csv").write_text(text + "50,0.0")
    run = read_run(path)
    assert run.state == "unfinished"
    assert run.detail == "at step 50 of 40"
    assert run.best_value() == 25  # the best so far
    assert run.best_value("train/loss") == 0.0  # less is better


def test_what_is_not_finite_is_no_point_and_the_last_value_at_a_step_counts(tmp_path: Path):
    (tmp_path / "metrics.csv").write_text("step,val/psnr\n1,20\n1,21\n2,nan\n3,inf\n,7\n")
    assert read_run(tmp_path).curves == {"val/psnr": ([1], [21.0])}


def test_every_state_is_told(make_run, tmp_path: Path):
    failed = make_run("failed", None)
    (failed / "error.txt").write_text("the disk is full: make room\n\nTraceback ...\n")
    assert (read_run(failed).state, read_run(failed).detail) == ("failed", "the disk is full: make room")
    done = make_run("done", 30)
    (done / "error.txt").write_text("resume=last: there is nothing left to do\n")
    assert read_run(done).state == "finished"
    started = tmp_path / "started"
    (started / ".hydra").mkdir(parents=True)
    (started / ".hydra" / "config.yaml").write_text(
        "seed: 2\nrun_dir: ${hydra:runtime.output_dir}\nname: ${name_of:}\n"
    )
    (started / ".hydra" / "overrides.yaml").write_text("- seed=2\n")
    run = read_run(started)
    assert (run.state, run.detail, run.name) == ("empty", "never started", "started")
    assert run.config == {"seed": 2}
    assert run.record["overrides"] == ["seed=2"]


@pytest.mark.parametrize("text", ["", "a: [1,", "\x00\x01", "just text"])
def test_a_damaged_config_hides_no_run(make_run, text: str):
    path = make_run("a", 30)
    (path / "config.yaml").write_text(text)
    run = read_run(path)
    assert run.state == "finished"
    assert run.config == {}
    assert run.name == "a"


def test_sweeps_folders_and_patterns_lead_to_their_runs_once(make_run, tmp_path: Path):
    for number in (10, 9, 2):
        make_run(f"sweep/{number}_fusion")
    make_run("outputs/fusion/simple/monday")
    (tmp_path / "outputs" / "fusion" / "empty").mkdir()
    found = find_runs([tmp_path / "sweep", tmp_path / "sweep" / "9_fusion", str(tmp_path / "out*"), tmp_path / "none"])
    assert [run.path.name for run in found.runs] == ["2_fusion", "9_fusion", "10_fusion", "monday"]
    assert len(found.refused) == 1
    assert "none" in found.refused[0]
    (tmp_path / "file").write_text("")
    refused = find_runs([tmp_path / "outputs" / "fusion" / "empty", tmp_path / "file"]).refused
    assert len(refused) == 2
    assert all("no run" in line for line in refused)


def test_runs_of_one_name_are_told_apart_by_the_folders_above(make_run, tmp_path: Path):
    for name in ("one/deep/0_fusion", "two/deep/0_fusion", "two/deep/1_fusion"):
        make_run(name)
    titles = [run.title for run in find_runs([tmp_path]).runs]
    assert titles == ["one/deep/0_fusion", "two/deep/0_fusion", "1_fusion"]


def test_a_saved_config_is_what_was_composed(make_run):
    path = make_run("a", changes={"optimizer": {"lr": 1e-06}})
    assert yaml.safe_load((path / "config.yaml").read_text())["optimizer"]["lr"] == 1e-06
    assert read_run(path).config["optimizer.lr"] == 1e-06
