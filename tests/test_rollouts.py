import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from flowchroma import rollouts
from flowchroma.app.rollouts import Drawing, colour_both_ways
from flowchroma.app.systems import load_system
from flowchroma.color import rgb_to_lab
from flowchroma.data.made.sample import SampleFilm
from flowchroma.data.rollouts.span_file import find_spans
from flowchroma.models import roll_out
from flowchroma.models.estimate import Estimate
from flowchroma.models.state import Known
from flowchroma.weights.files import Fingerprint

ROOT = Path(__file__).parents[1]
SMALL = ["spans=1", "length=[5,6]", "size=48", "device=cpu", "trains=bidirectional"]


def film(folder: Path, frames: int, cut: int = 0, seed: int = 0) -> Path:
    """The camera pans over a coloured picture; from frame `cut` on, if any, over another one."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    wide = [cv2.resize(random.integers(20, 235, (12, 36, 3), np.uint8), (192, 64)) for _ in range(2)]
    for t in range(frames):
        cv2.imwrite(str(folder / f"{t:04}.png"), wide[bool(cut and t >= cut)][:, 2 * t : 2 * t + 96])
    return folder


@pytest.fixture
def run(command):
    return command(rollouts.main)


def test_films_become_rollouts_as_typed_and_a_killed_command_goes_on(tmp_path: Path) -> None:
    film(tmp_path / "my films, [1]" / "a", 14)
    film(tmp_path / "my films, [1]" / "more" / "b", 9, seed=1)
    film(tmp_path / "my films, [1]" / "short", 4)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "flowchroma.rollouts", "source=my films, [1]", "output=made", *SMALL]
    first = tmp_path / "made" / "a_0.safetensors"
    with subprocess.Popen(line, cwd=tmp_path, env=environment) as process:
        while process.poll() is None and not first.exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    written = first.stat().st_mtime_ns
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert first.stat().st_mtime_ns == written
    (said,) = done.stderr.splitlines()
    assert said == "flowchroma: left out: my films, [1]/short has 4 frames, too few for a span of 5"
    assert ", 1 were there" in done.stdout or ", 2 were there" in done.stdout
    spans = find_spans(tmp_path / "made")
    assert [span.film for span in spans] == ["a", "more/b"]
    assert {span.size for span in spans} == {(48, 72)}
    assert {span.made_by for span in spans} == {Fingerprint.of(load_system())}
    assert {len(span) for span in spans} <= {3, 4}
    true = cv2.imread(str(tmp_path / "my films, [1]" / "a" / f"{spans[0].frames[0]:04}.png"))
    lab = rgb_to_lab(torch.from_numpy(true[..., ::-1].copy()).permute(2, 0, 1)[None])
    assert (spans[0].read(0).lab.mean((2, 3)) - lab.mean((2, 3))).abs().max() < 0.5


@torch.inference_mode()
def test_each_direction_is_the_system_between_both_keyframes() -> None:
    system = load_system()
    rgb = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 3, 6, 20), np.uint8))
    wide = rgb.repeat_interleave(8, 2).repeat_interleave(8, 3)
    lab = torch.cat([rgb_to_lab(wide[..., 4 * t : 4 * t + 64]) for t in range(5)])
    found = colour_both_ways(system, lab)
    torch.testing.assert_close(found.position.float(), torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(found.lab.float(), lab[1:4], atol=0.06, rtol=1e-3)
    keyframes = [lab[None, None, 0], lab[None, None, 4]]
    for name, film in (("forward", lab), ("backward", lab.flip(0))):
        known = {n: Known(film[n : n + 1, 1:]) for n in (0, 4)}
        frames = [*roll_out(system, film[:, None, :1], keyframes, known)][1:4]
        estimates = [Estimate.propagated(frame, system.fusion.error_model) for frame in frames]
        order = range(3) if name == "forward" else range(2, -1, -1)
        for place, estimate in zip(order, estimates, strict=True):
            ab, error = (getattr(found, f"{name}_{what}")[place].float() for what in ("ab", "error"))
            torch.testing.assert_close(ab, estimate.ab[0], atol=0.06, rtol=1e-3)
            torch.testing.assert_close(error, estimate.error[0], atol=0.06, rtol=1e-3)
    difference = (found.forward_ab - found.backward_ab).abs().mean()
    assert difference > 0.1


def test_spans_are_drawn_within_a_film_by_the_seed() -> None:
    drawing = Drawing((5, 9), (1, 3), seed=0, size=48)
    drawn = [drawing.draw(drawing.generator("a", number), 20) for number in range(200)]
    assert {span.step for span in drawn} == {1, 2, 3}
    assert {len(span) for span in drawn} == {5, 6, 7, 8, 9}
    assert min(span[0] for span in drawn) == 0
    assert max(span[-1] for span in drawn) == 19
    assert drawn == [drawing.draw(drawing.generator("a", number), 20) for number in range(200)]
    assert drawn != [drawing.draw(drawing.generator("b", number), 20) for number in range(200)]
    other = replace(drawing, seed=1)
    assert drawn != [other.draw(other.generator("a", number), 20) for number in range(200)]
    assert drawing.draw(drawing.generator("a", 0), 5) == range(5)
    assert drawing.draw(drawing.generator("a", 0), 4) is None


def test_a_cut_is_not_coloured_across(run, tmp_path: Path) -> None:
    film(tmp_path / "films" / "cut", 16, cut=8)
    code, _, _ = run("source=films", "output=made", *SMALL, "spans=4")
    assert code == 0
    for span in find_spans(tmp_path / "made"):
        assert span.frames[-1] + span.frames.step < 8 or span.frames[0] - span.frames.step >= 8
    film(tmp_path / "short" / "cut", 6, cut=3)
    code, _, error = run("source=short", "output=none", *SMALL)
    assert code == 1
    assert "has a cut in every span that was drawn" in error


def test_made_films_of_both_splits_show_other_photographs(run, tmp_path: Path) -> None:
    film(tmp_path / "films" / "train" / "a", 6)
    film(tmp_path / "films" / "val" / "b", 6)
    code, said, _ = run("source=films", "output=made", *SMALL, "made=3", "stride=1")
    assert (code, said) == (0, "5 spans made, 0 were there, 0 left out: made\n")
    spans = {span.film: span for span in find_spans(tmp_path / "made")}
    assert spans.keys() == {"train/a", "val/b", "made/train/0", "made/val/1", "made/train/2"}
    for name, span in spans.items():
        if name.startswith("made/"):
            _, split, seed = name.split("/")
            true = SampleFilm(int(seed), 6, (48, 84), split).frame(span.frames[0])
            lab = rgb_to_lab(torch.from_numpy(true.copy()).permute(2, 0, 1)[None])
            assert (span.read(0).lab - lab).abs().max() < 0.1
    code, _, error = run("source=films", "output=made", *SMALL, "made=3", "stride=1", "seed=1")
    assert code == 1
    assert "made holds spans of Drawing(length=(5, 6), stride=(1, 1), seed=0, size=48): give these" in error
    (tmp_path / "films" / "made").mkdir()
    (tmp_path / "films" / "val" / "b").rename(tmp_path / "films" / "made" / "b")
    code, _, error = run("source=films", "output=more", *SMALL, "made=1")
    assert (code, error.count("\n")) == (1, 1)
    assert "made/b of films is named as made films are" in error


def test_what_is_wrong_is_said_in_one_line(run, tmp_path: Path, write_rollouts) -> None:
    film(tmp_path / "films" / "a", 6)
    other = write_rollouts(films=["a"])
    (tmp_path / "run").mkdir()
    save_file({"luma": torch.zeros(1)}, tmp_path / "run" / "weights.safetensors")
    for arguments, said in (
        ([], "no source: give source=FILMS"),
        (["source=films"], "no output: give source=FILMS"),
        (["source=nothing", "output=made"], "nothing at nothing"),
        (["source=[films,films]", "output=made"], "two films are named a"),
        (["source=films", "output=films/a/0000.png"], "is no folder"),
        (["source=films", "output=made", "length=[2,5]"], "length must be two whole numbers from 3 on"),
        (["source=films", "output=made", "stride=[3,1]"], "stride must be two whole numbers from 1 on"),
        (["source=films", "output=made", "spans=0"], "spans must be a whole number from 1 on"),
        (["source=films", f"output={other}", *SMALL], "holds rollouts of other networks"),
        (["source=films", "output=run", *SMALL], "weights.safetensors is no file of rollouts: give a folder that"),
        (["source=films", "output=made", "checkpoint=/nowhere"], "no checkpoint at /nowhere"),
    ):
        code, _, error = run(*arguments)
        assert code in (1, 2), arguments
        assert said in error, arguments
        assert len(error.splitlines()) == 1, arguments
    assert not (tmp_path / "made").exists()
