"""Runs of stage bidirectional as they are typed, and what is done with them."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flowchroma import colorize, run
from flowchroma.app.systems import load_part, load_run, load_system
from flowchroma.models import FlowChroma
from flowchroma.ship import ship
from flowchroma.weights.files import Fingerprint

TINY = [
    "stage=bidirectional", "model.width=4", "model.depth=1", "data.size=[32,32]", "data.batch_size=2",
    "data.num_workers=0", "data.val_frames=2", "trainer.max_steps=2", "optimizer.lr=0.01",
]  # fmt: skip


def trained(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["flowchroma.run", *arguments])
    run.main()


@pytest.fixture
def rollouts(write_rollouts) -> Path:
    return write_rollouts(Fingerprint.of(load_system()))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "film"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    for t in range(5):
        Image.fromarray(np.roll(pixels, t, axis=1)).save(folder / f"{t:06}.png")
    return folder


def test_a_run_is_a_whole_system(monkeypatch, tmp_path: Path, rollouts: Path, film: Path, command) -> None:
    made = tmp_path / "run"
    trained(monkeypatch, *TINY, f"data.root={rollouts}", f"hydra.run.dir={made}")
    with (made / "results.csv").open() as file:
        result = next(csv.DictReader(file))
    assert {name for name in result if name.startswith("val/")} == {
        "val/psnr", "val/psnr_both", "val/psnr_forward", "val/expected_over_true",
    }  # fmt: skip
    system, before = load_system(made), load_system()
    assert isinstance(load_run(made), FlowChroma)
    assert (system.recent, system.every) == (before.recent, before.every)
    assert system.bidirectional.error_model == before.fusion.error_model
    for name, value in before.state_dict().items():
        if not name.startswith("bidirectional."):
            assert torch.equal(system.state_dict()[name], value), name
    assert Fingerprint.of(system) == Fingerprint.of(before)
    assert load_part("matcher", made).state_dict().keys() == before.matcher.state_dict().keys()
    assert any(p.any() for p in system.bidirectional.leave.parameters())

    ship(made, tmp_path / "shipped" / "weights.safetensors")
    shipped = load_system(tmp_path / "shipped" / "weights.safetensors")
    assert shipped.bidirectional is not None
    assert Fingerprint.of(shipped) == Fingerprint.of(before)
    text = (tmp_path / "shipped" / "config.yaml").read_text()
    assert str(tmp_path) not in text

    trained(
        monkeypatch, *TINY, f"data.root={rollouts}", f"weights.system={made}", f"weights.model={made}",
        f"hydra.run.dir={tmp_path / 'again'}",
    )  # fmt: skip
    assert load_system(tmp_path / "again").bidirectional is not None

    keyframes = tmp_path / "keyframes"
    keyframes.mkdir()
    for frame in ("000000.png", "000004.png"):
        (keyframes / frame).write_bytes((film / frame).read_bytes())
    typed = [f"source={film}", f"keyframes={keyframes}", "size=64", "device=cpu"]
    colour = command(colorize.main)
    outputs = [tmp_path / name for name in ("with", "without")]
    for output, checkpoint in zip(outputs, ([f"checkpoint={made}"], []), strict=True):
        code, _, error = colour(*typed, f"output={output}", *checkpoint)
        assert code == 0, error
    pictures = [np.asarray(Image.open(output / "000002.png")).astype(int) for output in outputs]
    assert pictures[0].shape == (64, 96, 3)
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model=unet"], "model=unet is not of stage=bidirectional: use model=bidirectional"),
        (["data=sample"], "stage=bidirectional is trained on rollouts: give data=rollouts data.root=DIR"),
        (["stage=fusion", "data=rollouts"], "data=rollouts is not of stage=fusion: it is of stage=fusion_rollouts"),
        (
            ["stage=fusion", "data=sample", "model=bidirectional"],
            "model=bidirectional is not of stage=fusion: use model=",
        ),
        (["weights.system=null"], "needs shipped, or a run of stage=fusion"),
        (["weights.system=/nowhere"], "no checkpoint at /nowhere"),
        (["data.root=null"], "data.root is not set"),
        (["loss=l1", "loss.terms={l1: 3}"], "loss"),
    ],
)
def test_what_does_not_fit_is_one_line(monkeypatch, capsys, tmp_path: Path, arguments: list[str], said: str) -> None:
    tiny = [option for option in TINY if "=" in option and not option.startswith(("model.", "data."))]
    with pytest.raises(SystemExit) as stop:
        trained(monkeypatch, *tiny, *arguments, f"hydra.run.dir={tmp_path}")
    assert stop.value.code in (1, 2)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    assert len(lines) == 1
    assert said in lines[0]


def test_rollouts_of_another_system_are_refused(monkeypatch, capsys, tmp_path: Path, write_rollouts) -> None:
    with pytest.raises(SystemExit):
        trained(monkeypatch, *TINY, f"data.root={write_rollouts()}", f"hydra.run.dir={tmp_path / 'run'}")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("flowchroma:")]
    assert len(lines) == 1
    assert "were made by other networks" in lines[0]
