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
    own = tiny("memflow", "loss=flow_self", "scheduler=constant", "trainer.max_steps=1")
    common = [*(option for option in own if "sources.sample" not in option), *films(odd / "films, [1]")]
    first, second = odd / "first", odd / "second, {2}"
    written = [f"callbacks.panels.directory={odd}/panels", f"logger.csv.path={odd}/m, 1.csv"]
    ended = runs(
        [*common, f"hydra.run.dir={first}", *written],
        [*common, "trainer.max_steps=2", f"hydra.run.dir={second}", f"resume={first}"],
        ["-m", *common, f"weights.model={first},{second}", f"hydra.sweep.dir={odd}/sweep, =3"],
    )
    assert ended == [0] * 3
    assert list((odd / "panels").glob("*.png"))
    assert [max(int(row["step"]) for row in rows(file)) for file in (odd / "m, 1.csv", second / "metrics.csv")] == [
        0,
        1,
    ]
    assert {row["weights.model"] for row in rows(odd / "sweep, =3" / "results.csv")} == {str(first), str(second)}
