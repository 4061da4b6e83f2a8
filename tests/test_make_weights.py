"""The recipe of the weights that ship, as typed, in its shortest form."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flowchroma.app.systems import load_system
from flowchroma.models import OriginFusion

ROOT = Path(__file__).parents[1]
SHORT = (
    "trainer=cpu trainer.max_steps=1 trainer.val_check_interval=1 data.size=[64,64] data.batch_size=1"
    " data.num_workers=0"
)


def write_pictures(folder: Path, count: int, size: tuple[int, int], step: int = 0) -> None:
    """Squares of random colours; each picture shows them some pixels further to the left."""
    folder.mkdir(parents=True)
    height, width = size
    cells = np.random.default_rng(len(folder.name)).integers(20, 235, (height // 8, width // 4, 3), np.uint8)
    wide = cells.repeat(8, 0).repeat(8, 1)
    for number in range(count):
        Image.fromarray(wide[:, step * number : step * number + width]).save(folder / f"{number:05}.png")


@pytest.mark.slow
def test_the_weights_are_made_from_nothing_and_a_second_call_makes_only_what_is_missing(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_pictures(tmp_path / "films" / name, 12, (64, 96), step=2)
    write_pictures(tmp_path / "photos", 4, (96, 128))
    line = [
        "make", "weights", f"FILMS={tmp_path}/films", f"PHOTOS={tmp_path}/photos", f"WEIGHTS={tmp_path}/made",
        f"SHORT={SHORT}", "SHORT_ROLLOUTS=spans=1 made=1 length=[5,6] size=64 device=cpu", f"SHIP={tmp_path}/shipped",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made, shipped = load_system(tmp_path / "made" / "both"), load_system(tmp_path / "shipped" / "weights.safetensors")
    assert isinstance(shipped.fusion, OriginFusion)
    assert shipped.bidirectional is not None
    kept = shipped.state_dict()
    for name, value in made.state_dict().items():
        if ".trunk." not in name:  # the trunk ships in files of its own
            assert torch.equal(kept[name], value.half().to(value)), name
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "made").glob("*/weights.safetensors")}
    assert len(written) == 5
    again = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert written == {path: path.stat().st_mtime_ns for path in written}
