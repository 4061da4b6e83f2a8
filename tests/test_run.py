import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from flowchroma import run

TINY = [
    "data.size=[48,48]",
    "data.clip_length=3",
    "data.batch_size=2",
    "data.num_workers=0",
    "data.val_clips=2",
    "data.val_length=3",
    "trainer.max_steps=2",
    "trainer.log_every_n_steps=1",
]
FRESH = ["weights.flow=null", "weights.matcher=null"]
ROOT = Path(__file__).parents[1]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["flowchroma.run", *arguments])
    run.main()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("arguments", "terms"),
    [
        (["stage=memflow"], ["color", "epe"]),
        (["stage=swintexco", "loss.weights=shipped"], ["l1", "perceptual", "contextual"]),
        (
            [
                "stage=swintexco_gan",
                "loss.temporal=0.1",
                "stage.module.after_epoch=0",
                "stage.module.discriminator_width=4",
            ],
            ["l1", "perceptual", "contextual", "smoothness", "temporal", "adversarial"],
        ),
        (["stage=fusion", "loss.weights=shipped", *FRESH], ["l1", "perceptual", "contextual", "temporal"]),
    ],
    ids=["memflow", "swintexco", "swintexco_gan", "fusion"],
)
def test_a_stage_trains_and_leaves_all_that_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], terms: list[str]
) -> None:
    call(monkeypatch, *arguments, *TINY, f"hydra.run.dir={tmp_path}")
    logged = rows(tmp_path / "metrics.csv")
    for name in ["loss", *terms, *(f"{term}_weighted" for term in terms)]:
        figures = [float(row[f"train/{name}"]) for row in logged if row.get(f"train/{name}")]
        assert len(figures) == 2, name
        assert all(math.isfinite(f) for f in figures), name
    weighted = [sum(float(r[f"train/{t}_weighted"]) for t in terms) for r in logged if r["train/loss"]]
    assert weighted == pytest.approx([float(r["train/loss"]) for r in logged if r["train/loss"]], abs=1e-5)
    result = rows(tmp_path / "results.csv")[0]
    assert math.isfinite(float(result["val/psnr"]))
    assert ("val/epe" in result) == (arguments[0] == "stage=memflow")
    config = OmegaConf.load(tmp_path / "config.yaml")
    assert config.data.size == [48, 48]
    assert ("vgg16" in (config.record.loss_trunk or "")) == ("loss.weights=shipped" in arguments)
    assert bool(config.record.loss_trunk) == ("contextual" in terms)
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "weights.safetensors"):
        assert (tmp_path / name).stat().st_size > 0
    assert len(list((tmp_path / "panels").glob("*.png"))) == 1


def test_swintexco_as_published_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = ["data.size=[64,64]", "data.clip_length=2", "data.batch_size=1", "data.num_workers=0"]
    few = ["data.val_clips=1", "data.val_length=2", "+trainer.fast_dev_run=true", "stage.module.after_epoch=0"]
    trunk = ["model.trunk.name=convnext_atto", "model.trunk.weights=none", "stage.module.discriminator_width=4"]
    call(monkeypatch, "+experiments=swintexco_published", *small, *few, *trunk, f"hydra.run.dir={tmp_path}")
    assert math.isfinite(float(rows(tmp_path / "results.csv")[0]["val/psnr"]))
    assert "4 levels" in OmegaConf.load(tmp_path / "config.yaml").record.loss_trunk


def test_a_run_gives_the_weights_of_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    call(monkeypatch, "stage=memflow", *TINY, f"hydra.run.dir={tmp_path / 'flow'}")
    flow = f"weights.flow={tmp_path / 'flow'}"
    fusion = tmp_path / "fusion"
    call(monkeypatch, "loss=l1", *TINY, flow, "weights.matcher=null", f"hydra.run.dir={fusion}")
    from flowchroma.app.systems import load_system
    from flowchroma.weights.files import load_weights

    system = load_system(str(fusion))
    assert not system.training
    load_weights(system.flow, tmp_path / "flow")  # the same network, unchanged by stage three
    kept = {k: v.clone() for k, v in system.flow.state_dict().items()}
    load_weights(system, fusion)
    assert all((v == system.flow.state_dict()[k]).all() for k, v in kept.items())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["stage=memflow", "model=unet"],
            "model=unet is not of stage=memflow: use model=memflow or model=memflow_small",
        ),
        (["stage=memflow", "data=davis"], "data.root"),
        (["stage=memflow", "data=davis", "data.root=/nowhere/davis"], "/nowhere/davis"),
        (["stage=memflow", "weights.model=nothing.ckpt"], "no checkpoint at nothing.ckpt"),
        (["stage=memflow", "model.checkpoint=nothing.ckpt"], "no checkpoint at nothing.ckpt"),
        (
            ["stage=memflow", "optimized_metric=val/nope"],
            "not logged by stage=memflow: choose from val/psnr, val/psnr_",
        ),
        (["stage=fusion", "model@stage.flow=unet"], "unet is not of stage=fusion: use model@stage.flow=memflow or"),
        (["stage=fusion", "+stage.flow={checkpoint: RUN}"], "stage.flow.checkpoint has moved: give weights.flow"),
        (["stage=fusion", "loss=swintexco", *FRESH], "use it with stage=swintexco"),
        (["stage=swintexco_gan", "loss.levels=[1]"], "give loss.levels a weight for each"),
    ],
)
def test_bad_input_is_one_line_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path, arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, *arguments, *TINY, f"hydra.run.dir={tmp_path}")
    assert stop.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    assert len(lines) == 1
    assert said in lines[0]


def test_the_best_is_the_one_by_the_optimized_metric(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    metric = ["optimized_metric=val/epe", "trainer.max_steps=3", "trainer.val_check_interval=1", "optimizer.lr=0.05"]
    call(monkeypatch, "stage=memflow", *TINY, *metric, f"hydra.run.dir={tmp_path}")
    errors = [float(row["val/epe"]) for row in rows(tmp_path / "metrics.csv") if row["val/epe"]]
    result = rows(tmp_path / "results.csv")[0]
    assert len({*errors}) == 3
    assert float(result["val/epe"]) == pytest.approx(min(errors), abs=1e-4)
    assert next(name for name in result if name.startswith("val/")) == "val/epe"


def test_a_metric_that_the_clips_do_not_give_is_said_with_those_they_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    for film in range(6):
        (tmp_path / "films" / f"film{film}").mkdir(parents=True)
        for frame in range(4):
            pixels = np.random.default_rng(film).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(np.roll(pixels, frame, axis=1)).save(tmp_path / "films" / f"film{film}" / f"{frame}.png")
    films = ["data=videvo", f"data.root={tmp_path / 'films'}", "optimized_metric=val/epe"]
    with pytest.raises(SystemExit):
        call(monkeypatch, "stage=memflow", "loss=flow_self", *TINY, *films, f"hydra.run.dir={tmp_path / 'run'}")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    assert len(lines) == 1
    assert "optimized_metric=val/epe is not logged on these clips: choose from val/" in lines[0]
    assert "val/psnr" in lines[0]


def test_a_sweep_ends_in_one_table_with_the_best_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    call(
        monkeypatch, "-m", "model=placeholder,simple,unet", "weights.model=null", "loss=l1", *TINY, *FRESH,
        f"hydra.sweep.dir={tmp_path}",
    )  # fmt: skip
    table = rows(tmp_path / "results.csv")
    assert sorted(row["model"] for row in table) == ["placeholder", "simple", "unet"]
    figures = [float(row["val/psnr"]) for row in table]
    assert figures == sorted(figures, reverse=True)
    assert "3 runs by val/psnr" in capsys.readouterr().out


def test_wandb_offline_gets_the_curves_and_the_panel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb = ["logger=wandb", "logger.wandb.offline=true"]
    call(monkeypatch, "stage=fusion", "loss=l1", *wandb, *TINY, *FRESH, f"hydra.run.dir={tmp_path}")
    files = [p for p in (tmp_path / "wandb").rglob("*") if p.is_file()]
    assert any(p.suffix == ".wandb" for p in files)
    assert any("panel" in p.name and p.suffix == ".png" for p in files)
    assert rows(tmp_path / "metrics.csv")


def test_two_processes_train_together(tmp_path: Path) -> None:
    """The second of them started by the first, whatever the name of their directory."""
    tmp_path = tmp_path / "c,d=e (f) [g] #h 'i' \"j\" é"
    command = [sys.executable, "-m", "flowchroma.run", "trainer=ddp_cpu", *TINY, *FRESH]
    one = ["stage=fusion", "loss=l1", "trainer.max_steps=1", "trainer.log_every_n_steps=10"]
    done = subprocess.run(
        [*command, *one, f"hydra.run.dir={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(rows(tmp_path / "results.csv")) == 1
    assert any(row.get("train/l1") for row in rows(tmp_path / "metrics.csv"))
    assert "Traceback" not in done.stderr
