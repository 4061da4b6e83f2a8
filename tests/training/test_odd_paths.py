"""Paths that a run is given are taken as they are typed, whatever is in them."""

from pathlib import Path

import numpy as np
from PIL import Image

ODD = "c,d=e (f) [g] #h 'i' \"j\" é"


def films(folder: Path) -> list[str]:
    """Six films of four frames, two of them in a list of their own: the options that name them."""
    for film in range(6):
        (folder / f"film, {film}").mkdir(parents=True)
        pixels = np.random.default_rng(film).integers(0, 255, (48, 48, 3), dtype=np.uint8)
        for frame in range(4):
            Image.fromarray(np.roll(pixels, frame, axis=1)).save(folder / f"film, {film}" / f"{frame}.png")
    (folder.parent / f"list {ODD}.txt").write_text("film, 0\nfilm, 1\n")
    return ["data=videvo", f"data.root={folder}", f"data.sources.videvo.val_list={folder.parent}/list {ODD}.txt"]


def test_data_runs_weights_and_sweeps(runs, rows, tiny, tmp_path: Path) -> None:
    odd = tmp_path / ODD
    own = [
        option for option in tiny("memflow", "loss=flow_self", "scheduler=constant") if "sources.sample" not in option
    ]
    common = [*own, *films(odd / "films, [1]"), "trainer.max_steps=1"]
    first, third = odd / "first", odd / "third, {3}"
    ended = runs(
        [
            *common,
            f"hydra.run.dir={first}",
            f"callbacks.panels.directory={odd}/panels",
            f"logger.csv.path={odd}/m, 1.csv",
        ],
        [*common, "trainer.max_steps=2", f"hydra.run.dir={first}", "resume=last"],
        [*common, "trainer.max_steps=3", f"hydra.run.dir={odd}/second", f"resume={first}/checkpoints/last.ckpt"],
        [*common, f"hydra.run.dir={third}", f"weights.model={first}"],
        ["-m", *common, f"weights.model={first},{third}", f"hydra.sweep.dir={odd}/sweep, =4"],
    )
    assert ended == [0] * 5
    assert rows(odd / "m, 1.csv")
    assert list((odd / "panels").glob("*.png"))
    steps = [max(int(row["step"]) for row in rows(odd / name / "metrics.csv")) for name in ("first", "second")]
    assert steps == [1, 2]  # from 0
    assert {row["weights.model"] for row in rows(odd / "sweep, =4" / "results.csv")} == {str(first), str(third)}
