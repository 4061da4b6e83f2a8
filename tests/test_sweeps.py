import csv
import math
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from flowchroma import run
from flowchroma.errors import UserError

optuna = pytest.importorskip("optuna")

TINY = [
    "data.size=[48,48]", "data.clip_length=3", "data.batch_size=2", "data.num_workers=0", "data.val_clips=1",
    "data.val_length=2", "trainer.max_steps=1", "loss=l1",
    "weights.flow=null", "weights.matcher=null",
]  # fmt: skip

SMALL = [option for option in TINY if not option.startswith(("loss", "stage"))]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["flowchroma.run", *arguments])
    run.main()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_failed_run_loses_no_other_and_is_in_the_table(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, "-m", "optimizer.lr=-1,0.001", "seed=5", *TINY, f"hydra.sweep.dir={tmp_path}")
    assert stop.value.code == 1
    good, bad = rows(tmp_path / "results.csv")
    assert (good["state"], good["run"]) == ("finished", "1_fusion-simple-lr0.001-seed5")
    assert math.isfinite(float(good["val/psnr"]))
    assert (bad["state"], bad["optimizer.lr"], bad["val/psnr"]) == ("failed", "-1", "")
    assert "optimizer.lr=-1: give a number above 0" in bad["detail"]
    assert "optimizer.lr=-1: give a number above 0" in capsys.readouterr().err


def test_each_run_of_a_sweep_has_a_wandb_run_of_its_own_and_a_record(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb = ["logger=wandb", "logger.wandb.offline=true"]
    shipped = ["loss.weights=shipped", "trainer.log_every_n_steps=1"]
    call(monkeypatch, "-m", "stage=swintexco,fusion", *SMALL, *shipped, *wandb, f"hydra.sweep.dir={tmp_path}")
    assert len(list(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))) == 2
    names = set()
    for path in sorted(tmp_path.glob("*/config.yaml")):
        config = OmegaConf.load(path)
        assert config.logger.wandb.group == tmp_path.name
        assert list(config.logger.wandb.tags) == [config.stage.name, config.record.choices.model, "sample"]
        assert "data.clip_length=3" in config.record.overrides
        names.add(config.name)
        logged = {name for row in rows(path.parent / "metrics.csv") for name, value in row.items() if value}
        assert {"train/loss", "val/psnr", "val/psnr_hold"} <= logged  # under one name in every stage
    assert names == {"swintexco-swintexco_small-seed0", "fusion-simple-seed0"}


class Killed(BaseException):
    """What no handler in the run may hold."""


@pytest.fixture
def quick(monkeypatch):
    """Runs that take no time: the figure is a function of the weights, and a list says what runs die of."""
    fates: list[type[BaseException] | None] = []

    def main(config):
        if fates and (fate := fates.pop(0)):
            raise fate("as told")
        folder = Path(config.run_dir)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create({"loss": config.loss})))
        figure = 30 - (config.loss.l1 - 1) ** 2 - (config.loss.temporal - 0.5) ** 2
        (folder / "results.csv").write_text(f"val/psnr,val/epe\n{figure},{figure}\n")
        return figure

    import hydra

    from flowchroma.app.run.failures import report_errors
    from flowchroma.app.run.run_options import report_bad_options
    from flowchroma.app.settings import CONF

    task = hydra.main(version_base="1.3", config_path=CONF, config_name="config")(report_errors(main))
    monkeypatch.setattr(run, "main", report_bad_options(task))
    return fates


def test_a_signal_ends_the_sweep_and_not_its_first_run_alone(monkeypatch, tmp_path, quick):
    from flowchroma.errors import UserError

    quick[:] = [lambda said: UserError(said, code=143)]
    with pytest.raises(SystemExit) as end:
        call(monkeypatch, "-m", "loss.l1=0.5,1", f"hydra.sweep.dir={tmp_path}")
    assert end.value.code == 143
    assert not list(tmp_path.glob("*/results.csv"))


def study(folder: Path):
    return optuna.load_study(study_name="flowchroma", storage=f"sqlite:///{folder}/study.db")


def test_a_killed_study_goes_on_where_it_stopped(monkeypatch, tmp_path, quick, capsys):
    sweep = ["-m", "+experiments=sweep_loss", "hydra.sweeper.trials=6", f"hydra.sweep.dir={tmp_path}"]
    quick[:] = [None, None, Killed]
    with pytest.raises(Killed):
        call(monkeypatch, *sweep)
    before = [trial.params for trial in study(tmp_path).trials]
    assert len(before) == 3
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/results.csv")}
    call(monkeypatch, *sweep)
    trials = study(tmp_path).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 4]
    assert [trial.params for trial in trials[:3]] == before
    assert trials[3].params == before[2]  # what was running is run again, under a number of its own
    assert len({str(trial.params) for trial in trials}) == 6  # and nothing else twice
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    for trial in trials:
        if trial.value is not None:
            (folder,) = tmp_path.glob(f"{trial.number}_*")
            assert float(rows(folder / "results.csv")[0]["val/psnr"]) == pytest.approx(trial.value)
    capsys.readouterr()
    call(monkeypatch, *sweep)  # complete: nothing more is run
    assert len(study(tmp_path).trials) == 7
    assert "Best of 6 trials" in capsys.readouterr().out


def test_a_trial_that_fails_counts_and_the_study_goes_on(monkeypatch, tmp_path, quick):
    quick[:] = [None, ValueError, UserError]
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, "-m", "+experiments=sweep_loss", "hydra.sweeper.trials=4", f"hydra.sweep.dir={tmp_path}")
    assert stop.value.code == 1
    assert [trial.state.name for trial in study(tmp_path).trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    table = rows(tmp_path / "results.csv")
    assert [row["state"] for row in table] == ["finished", "finished", "failed", "failed"]


def test_a_sweep_goes_by_the_optimized_metric_and_its_direction(monkeypatch, tmp_path, quick):
    error = ["optimized_metric=val/epe", "+model.checkpoint=null"]  # as earlier releases spelled it
    call(monkeypatch, "-m", "loss.l1=1,0.5", *error, f"hydra.sweep.dir={tmp_path / 'grid'}")
    table = rows(tmp_path / "grid" / "results.csv")
    assert [row["loss.l1"] for row in table] == ["0.5", "1"]
    assert float(table[0]["val/epe"]) < float(table[1]["val/epe"])
    trials = ["+experiments=sweep_loss", "hydra.sweeper.trials=1"]
    call(monkeypatch, "-m", *trials, *error, f"hydra.sweep.dir={tmp_path / 'search'}")
    call(monkeypatch, "-m", *trials, f"hydra.sweep.dir={tmp_path / 'other'}")
    assert [study(tmp_path / name).direction.name for name in ("search", "other")] == ["MINIMIZE", "MAXIMIZE"]


def test_the_space_is_read_as_hydra_writes_it():
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from hydra_plugins.flowchroma_optuna import read_space

    typed = [
        "a=interval(0.5,2)",
        "b=tag(log,int(interval(1,100)))",
        "c=x,y",
        "d=range(1,4)",
        "e=[1,2]",
        "f=1",
        "f=2,3",
        "c=z",
    ]
    fixed, space = read_space(typed, OverridesParser.create())
    assert fixed == ["e=[1,2]", "c=z"]
    assert space == {
        "a": FloatDistribution(0.5, 2.0),
        "b": IntDistribution(1, 100, log=True),
        "d": CategoricalDistribution((1, 2, 3)),
        "f": CategoricalDistribution((2, 3)),
    }


def test_a_sweep_of_nothing_and_a_second_sweep_in_one_folder_are_refused(monkeypatch, tmp_path, quick, capsys):
    from filelock import FileLock

    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, "-m", "hydra/sweeper=optuna", "seed=1", f"hydra.sweep.dir={tmp_path}")
    assert stop.value.code == 2
    with FileLock(tmp_path / "study.lock"), pytest.raises(SystemExit) as stop:
        call(monkeypatch, "-m", "+experiments=sweep_loss", f"hydra.sweep.dir={tmp_path}")
    assert stop.value.code == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    assert [line.split(":")[1] for line in told] == [" nothing to search", f" another sweep is at work in {tmp_path}"]


def test_an_interrupted_sweep_has_its_table(monkeypatch, tmp_path, quick):
    from flowchroma.app.run.sweeps import write_results

    left = []
    monkeypatch.setattr("atexit.register", lambda *call: left.append(call))
    quick[:] = [None, KeyboardInterrupt]
    with pytest.raises(KeyboardInterrupt):
        call(monkeypatch, "-m", "seed=0,1", f"hydra.sweep.dir={tmp_path}")
    ((write, *arguments),) = [call for call in left if call[0] is write_results]
    write(*arguments)
    assert [row["state"] for row in rows(tmp_path / "results.csv")] == ["finished", "empty"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model=nope"], "no model=nope: choose from bidirectional, blend, inverse_variance, memflow"),
        (["hydra/launcher=nope"], "pip install 'flowchroma[sweeps]'"),
        (["loss=[l1,nope]"], "no loss=nope: choose from flow, flow_self, flowchroma"),
        (["model=3"], "needs the name of a choice"),
        (["logger=null"], "needs the name of a choice"),
        (["--nope"], "unrecognized arguments: --nope"),
        (["--cfg", "nope"], "invalid choice: 'nope'"),
        (["--resolve"], "belong to --cfg"),
        (["--shell-completion"], "takes install=SHELL"),
        (["--config-dir=/nowhere"], "'/nowhere' not found"),
        (["--experimental-rerun=nope"], "there is no such file"),
        (["loss.nope=1"], "Could not override 'loss.nope'"),
        (["loss.l1=[1"], "cannot read the options"),
        (["-m", "model=simple,nope"], "no model=nope"),
        (["+nope=1"], "nope is no option: those are"),
        (["+weights.nope=x"], "weights.nope is no option"),
        (["+stage.nope=1"], "stage.nope is no option"),
        (["~compile"], "a run needs compile"),
        (["stage.flow=null"], "choose a network by model@stage.flow=NAME"),
        (["stage.module=3"], "cannot be imported: give a dotted name"),
        (["+loss.nope=1", "loss.weights=shipped"], "the loss has no term nope"),
        (["+stage.flow.nope=1"], "cannot build stage.flow: "),
        (["model._target_=nope.Nope"], "model._target_=nope.Nope cannot be imported: No module named 'nope'"),
        (["model._target_=flowchroma.models.Nope"], "has no attribute 'Nope'"),
        (["model._target_=torch.nn.Identity"], "Identity is no network"),
        (["stage.module._target_=torch.nn.Identity"], "is no flowchroma.training.Stage"),
        (["loss=l1", "loss.l1=0"], "every term of the loss has weight 0"),
        (["stage=memflow", "loss.order=1", "scheduler.total_steps=1"], "scheduler.total_steps=1: give"),
        (["loss=l1", "scheduler=null"], "needs the name of a choice"),
        (["loss=l1", "+optimizer.fused=true", "+optimizer.foreach=true"], "cannot build optimizer: `fused` and"),
        (["loss=l1", "+scheduler.last_epoch=3"], "cannot build scheduler: "),
        (["loss=l1", "callbacks.guard=null"], "callbacks.guard gives no Callback"),
        (["loss=l1", "+callbacks.x={_target_:os.getcwd}"], "callbacks.x gives no Callback"),
        (["loss=l1", "logger.csv=null"], "logger.csv gives no Logger"),
        (["loss=l1", "stage.flow.architecture.strides=[2,2,2,2]"], "there are four strides, 8 in all"),
        (["loss=l1", "stage.flow.refiner.steps=[1]"], "cannot build stage.flow.refiner: scales are"),
        (["loss=l1", "+trainer.max_time=abc"], "cannot build trainer: "),
        (["-m", "hydra/sweeper=optuna", "hydra.sweeper.trials=abc", "seed=0,1"], "hydra.sweeper.trials=abc: give"),
        (["-m", "hydra/sweeper=optuna", "hydra.sweeper.direction=up", "seed=0,1"], "give maximize or minimize"),
        (["-m", "hydra/sweeper=optuna", "hydra.sweeper.sampler=optuna.Nope", "seed=0,1"], "cannot start: "),
        (["-m", "loss.l1=interval(0,1)"], "does not support sweep type"),
    ],
)
def test_an_option_that_is_none_is_one_line_and_exit_2(monkeypatch, tmp_path, capsys, arguments, said):
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, *arguments, f"hydra.run.dir={tmp_path}", f"hydra.sweep.dir={tmp_path}")
    assert stop.value.code == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert told[0].startswith("flowchroma: ")
    assert said in told[0]
