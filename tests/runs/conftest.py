import csv
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from PIL.PngImagePlugin import PngInfo

CONFIG = {
    "seed": 0,
    "stage": {"name": "fusion"},
    "model": {"_target_": "flowchroma.models.SimpleFusion", "width": 56},
    "optimizer": {"lr": 0.001},
    "scheduler": {"max_lr": 0.001},
    "trainer": {"max_steps": 40, "devices": 1},
    "data": {"size": [48, 48], "seed": 0, "num_workers": 0},
}


def merged(base: dict, changes: dict) -> dict:
    out = dict(base)
    for key, value in changes.items():
        out[key] = merged(out.get(key, {}), value) if isinstance(value, dict) else value
    return out


def _write_panel(path: Path, names: list[str], clip: str, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    row = Image.new("RGB", (2 + len(names) * (side + 2), side + 4))
    for i in range(len(names)):
        colour = (40 * i, 20, 200) if names[i] != "hold" else (1, 2, 3)
        row.paste(Image.new("RGB", (side, side), colour), (2 + i * (side + 2), 2))
    told = PngInfo()
    told.add_itxt("caption", " | ".join([*names, clip]))
    row.save(path, pnginfo=told)


@pytest.fixture
def write_panel():
    """Write a panel as training does: flat colours, the first colour held always the same."""
    return _write_panel


@pytest.fixture
def make_run(tmp_path: Path):
    """Write a run's directory as `flowchroma.run` leaves it; `psnr=None` leaves it unfinished."""

    def made(name: str, psnr: float | None = 30.0, changes: dict | None = None, **options) -> Path:
        path = tmp_path / name
        path.mkdir(parents=True)
        seed = options.get("seed", 0)
        config = merged(CONFIG, merged({"seed": seed, "data": {"seed": seed}}, changes or {}))
        record = {"git": {"commit": "a" * 40, "dirty": True}, "overrides": ["a=b"], "choices": options.get("choices")}
        (path / "config.yaml").write_text(yaml.safe_dump({**config, "name": name, "record": record}))
        rows = [{"step": step, "train/loss": 1 / (step + 1), "val/psnr": ""} for step in range(0, 40, 10)]
        rows += [{"step": step, "train/loss": "", "val/psnr": (psnr or 25) - 1 + step / 39} for step in (19, 39)]
        with (path / "metrics.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["step", "train/loss", "val/psnr"])
            writer.writeheader()
            writer.writerows(rows)
        if psnr is not None:
            (path / "results.csv").write_text(f"stage,val/psnr,val/psnr_hold\nfusion,{psnr},20.0\n")
        if options.get("panel", True):
            _write_panel(path / "panels" / "0000040.png", ["gray", "hold", "SimpleFusion", "truth"], "bear 0..7")
        return path

    return made


@pytest.fixture(autouse=True)
def _quiet_torch() -> None:
    torch.set_num_threads(1)
