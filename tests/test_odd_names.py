"""Every command takes paths as they are typed, alone and in lists, whatever is in them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from flowchroma import demo, ship
from flowchroma.weights import SHIPPED_SYSTEM
from flowchroma.weights.files import save_weights

ODD = "c,d=e (f) [g] #h 'i' \"j\" é"
QUICK = ("lpips=[]", "fid=false", "download=false", "preset=fast", "frames=2")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Two films of three frames, in a folder with an odd name."""
    for seed, name in enumerate(("one, 1", ODD)):
        folder = tmp_path / f"films {ODD}" / name
        folder.mkdir(parents=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (8, 10, 3), dtype=np.uint8)
        for frame in range(3):
            picture = Image.fromarray(np.roll(pixels, frame, axis=1)).resize((60, 48), Image.Resampling.BILINEAR)
            picture.save(folder / f"{frame}.png")
    return tmp_path / f"films {ODD}"


def copied_run(folder: Path) -> Path:
    """A directory of a fusion run: the system that ships."""
    folder.mkdir(parents=True)
    for file in (SHIPPED_SYSTEM, SHIPPED_SYSTEM.with_name("config.yaml")):
        shutil.copy(file, folder)
    return folder


def test_colorize(module, tmp_path: Path, films: Path) -> None:
    for name in ("park, 1 [a].png", " 'b'=\"c\".png"):
        shutil.copy(films / "one, 1" / "0.png", tmp_path / name)
    run = copied_run(tmp_path / ODD / "run")
    options = [f"source={films / ODD}", f"checkpoint={run}", f"output=out {ODD}", "size=48"]
    code, _, said = module("flowchroma.colorize")(*options, "reference=[park, 1 [a].png, 'b'=\"c\".png,0]")
    assert (code, said) == (0, "")
    assert len(list((tmp_path / f"out {ODD}").glob("*.png"))) == 3


def test_evaluate(module, build, tmp_path: Path, films: Path) -> None:
    """Also runs whose names differ by such characters alone, and one that is named twice."""
    flow = {"stage": {"name": "memflow"}, "model": OmegaConf.load(SHIPPED_SYSTEM.with_name("config.yaml")).stage.flow}
    for name in ("a b", "a,b", ODD):
        (tmp_path / name).mkdir()
        OmegaConf.save(OmegaConf.create(flow), tmp_path / name / "config.yaml")
        save_weights(build("memflow_small"), tmp_path / name / "weights.safetensors")
    options = ["data=folder", f"data.root={films}", f"output=out {ODD}", f"checkpoint={tmp_path / ODD}", *QUICK]
    code, out, _ = module("flowchroma.evaluate")(f"method=[hold,a b,a,b,{ODD},propagation,a b]", *options)
    assert code == 0
    assert f"Read out {ODD}/report.html" in out
    report = json.loads((tmp_path / f"out {ODD}" / "report.json").read_text())
    assert len(report["methods"]) == 5
    assert report["protocol"]["clips"] == "2 of 2"
    assert {about.get("checkpoint") for about in report["protocol"]["about"].values()} == {None, "a b", "a,b", ODD}
    shutil.copytree(films, tmp_path / f"theirs {ODD}")
    code, _, _ = module("flowchroma.evaluate")(f"predictions=theirs {ODD}", *options)
    assert code == 0
    report = json.loads((tmp_path / f"out {ODD}" / "report.json").read_text())
    assert f"theirs {ODD}" in report["methods"]


def test_compare(module, tmp_path: Path) -> None:
    for name, psnr in (("a, b", 30.0), (ODD, 31.0), ("d", 32.0)):
        path = tmp_path / ODD / name
        path.mkdir(parents=True)
        (path / "config.yaml").write_text(f"name: run\nseed: 0\noptimizer: {{lr: {psnr}}}\n")
        (path / "results.csv").write_text(f"val/psnr\n{psnr}\n")
    places = [f"{ODD}/a, b", f"{ODD}/{ODD}", f"{ODD}/d*"]
    code, _, said = module("flowchroma.compare")(*places, f"output=out {ODD}")
    assert (code, said) == (0, "")
    assert len((tmp_path / f"out {ODD}" / "comparison.csv").read_text().splitlines()) == 4


def test_prepare(module, tmp_path: Path, films: Path) -> None:
    (tmp_path / "pictures, [1]").mkdir()
    for frame in range(20):
        shutil.copy(films / "one, 1" / f"{frame % 3}.png", tmp_path / "pictures, [1]" / f"{frame}.png")
    roots = f"data.root={{videvo:{films},images: pictures, [1]}}"
    code, out, _ = module("flowchroma.prepare")("data=mix", roots, "download=false")
    assert code == 0
    assert f"{films}: 2 films are whole" in out
    assert "pictures, [1]: " in out
    code, out, _ = module("flowchroma.prepare")("data=folder", f"data.root={films}", f"pack=shards {ODD}")
    assert (code, f"data=shards data.root=shards {ODD}" in out) == (0, True)
    code, out, _ = module("flowchroma.prepare")("data=shards", f"data.root=shards {ODD}")
    assert (code, out) == (0, f"shards {ODD}: 2 films are whole, 6 frames\n")


def test_demo_and_ship(command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copied_run(tmp_path / ODD)
    shown = []
    monkeypatch.setattr("flowchroma.app.demonstration.demonstrate", lambda system, output: shown.append(output))
    assert command(demo.main)(f"run={ODD}", f"output=out {ODD}")[0] == 0
    assert shown == [Path(f"out {ODD}")]
    monkeypatch.setattr(ship, "SHIPPED_SYSTEM", tmp_path / f"shipped {ODD}" / "weights.safetensors")
    assert command(ship.main)(ODD)[0] == 0
    assert (tmp_path / f"shipped {ODD}" / "config.yaml").is_file()
