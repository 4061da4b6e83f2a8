"""A film's shots shared among the jobs of a launcher."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from flowchroma.app.colouring import job
from flowchroma.film import open_film

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scenes(tmp_path):
    """A folder of two shots, and a picture of its first frame in two colours."""
    folder, random = tmp_path / "in", np.random.default_rng(0)
    folder.mkdir()
    for shot, length in enumerate((8, 6)):
        layers = [cv2.resize(random.random((n, 2 * n), dtype=np.float32), (128, 64)) for n in (4, 9, 20)]
        wide = cv2.normalize(np.sum(layers, axis=0), None, 20, 235, cv2.NORM_MINMAX)
        for t in range(length):
            cv2.imwrite(str(folder / f"{8 * shot + t:04}.png"), wide[:, t : t + 96].astype(np.uint8))
    coloured = cv2.imread(str(folder / "0000.png"))
    coloured[:, :48, 0] //= 2
    coloured[:, 48:, 2] //= 2
    cv2.imwrite(str(tmp_path / "ref.png"), coloured)
    return folder


def typed(folder, *options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "flowchroma.colorize", "source=in", "reference=ref.png", "size=32", "device=cpu"]
    return subprocess.run(
        [*line, "report=false", *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(("launcher", "shared"), [("joblib", "parts=2"), ("submitit_local", "shots=1,2")])
def test_jobs_of_a_launcher_make_the_film_that_one_process_makes(tmp_path, scenes, launcher, shared, run) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    output = "it's $x, (a=b).mp4"
    done = typed(tmp_path, "-m", f"output={output}", shared, f"hydra/launcher={launcher}")
    assert (done.returncode, done.stderr) == (0, "2 jobs share the shots that are to be coloured\n")
    assert done.stdout == f"14 frames: {output}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", output, "ref.png"]
    given = ("source=in", "reference=ref.png", "size=32", "device=cpu", "output=alone.mp4")
    assert run(*given)[0] == 0
    difference = np.stack(list(open_film(tmp_path / output))).astype(int) - np.stack(list(open_film("alone.mp4")))
    assert np.abs(difference).max() <= 8  # threads sum up in another order


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "give parts=4, or shots=1-3,4-6"),
        (("parts=0",), 2, "a whole number of jobs"),
        (("parts=2", "shots=1,2"), 2, "give parts=4, or"),
        (("shots=1,3",), 2, "shots 1 to 2"),
        (("parts=2", "hydra/launcher=nope"), 2, "no hydra/launcher=nope: choose from basic"),
        (("parts=2", "hydra.nope=1"), 2, "hydra.nope"),
        (("parts=2", "colour=red"), 2, "unknown option 'colour=red'"),
        (("parts=2", "source=nowhere"), 1, "nowhere"),
    ],
)
def test_what_cannot_be_shared_is_one_line(tmp_path, run, system, scenes, options, code, message) -> None:
    given = {"source": "source=in", "reference": "reference=ref.png", "output": "output=out.mp4"}
    given |= {option.partition("=")[0]: option for option in options}
    found, _, err = run("-m", *given.values())
    assert (found, err.count("\n")) == (code, 1), err
    assert message in err
    assert not (tmp_path / "out.mp4").exists()
    assert run("source=in", "reference=ref.png", "output=out.mp4", "parts=2")[::2] == (
        2,
        "flowchroma: parts=N shares a film among the jobs of a Hydra launcher: add -m, see --help\n",
    )


def test_a_job_that_fails_costs_no_other_and_the_same_command_goes_on(
    tmp_path, run, system, monkeypatch, scenes
) -> None:
    given = ("-m", "source=in", "reference=ref.png", "output=out.mp4", "parts=2", "report=false")
    paint, shots = job.paint, []

    def failing(mine, alone=True):
        shots.append(mine.config.shots)
        if mine.config.shots == "1" and shots.count("1") == 1:
            raise MemoryError("as told")
        return paint(mine, alone)

    monkeypatch.setattr(job, "paint", failing)
    code, out, err = run(*given)
    assert (code, out) == (1, "")
    kept = tmp_path / ".out.mp4.flowchroma" / "jobs" / "0.failed"
    assert err.splitlines()[-1] == f"flowchroma: 1 of 2 jobs failed, as {kept} says: MemoryError: as told"
    assert "Traceback" in kept.read_text()
    code, out, _ = run(*given)
    assert (code, out) == (0, "14 frames: out.mp4\n")
    assert shots == ["1", "2", "1", None]
    assert not list(tmp_path.glob(".out*"))
