"""The benchmarks of a GPU and of a frame's stages, as they are typed, at a size that a CPU has done in seconds."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = "before\n<!-- gpu -->\nold\n<!-- end of gpu -->\nafter\n"


def typed(script: str, *options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    line = [sys.executable, str(ROOT / "benchmarks" / script), *options]
    return subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)


def test_a_line_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    tiny = ["--device", "cpu", "--sizes", "48x64", "--forms", "nonsense", "fp32", "--frames", "4", "--page", str(page)]
    done = typed("gpu.py", *tiny, "--lines", "[cmf]*", cwd=tmp_path)  # colour, matrix rate, frames
    assert done.returncode == 1
    assert done.stderr.strip() == "without a figure: colour 48x64 nonsense"
    text = page.read_text()
    assert text.startswith("before\n<!-- gpu -->\nthe CPU, in place of a GPU.\n")
    assert text.endswith("<!-- end of gpu -->\nafter\n")
    rows = {
        cells[1]: cells[2:6] for cells in (re.split(r"\s*\|\s*", line) for line in text.splitlines()) if len(cells) > 5
    }
    assert rows["colour 48x64 nonsense"][0].startswith("**failed**: ValueError: no form nonsense")
    result, _, operations, share = rows["colour 48x64 fp32"]
    assert float(result.removesuffix(" frames/s")) > 0
    assert float(operations) > 0.1
    assert 0 < float(share) < 2
    assert rows["frames as on the CPU"][0] == "within the bound of 0.1 levels: 0 on average, 0 at most"
    assert "TFLOP/s" in rows["matrix rate"][0]


def test_what_is_not_begun_in_time_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    done = typed("gpu.py", "--device", "cpu", "--limit", "0", "--page", str(page), cwd=tmp_path)
    assert done.returncode == 1
    rows = [line for line in page.read_text().splitlines() if "**not begun**" in line]
    names = [row.split("|")[1].strip() for row in rows]
    assert {"train memflow", "train swintexco compile", "train fusion ddp_cpu", "two processes as one"} <= set(names)
    assert len(names) == 21


@pytest.mark.slow
def test_training_and_two_processes_are_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    tiny = ["--device", "cpu", "--steps", "2", "--batch", "1", "--side", "48", "--page", str(page)]
    done = typed("gpu.py", *tiny, "--lines", "train memflow", "train memflow ddp_cpu", "two*", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text()
    assert len(re.findall(r"^\| train \w+.* steps/s of 1 clips, ", text, re.M)) == 2
    assert "| two processes as one | within the bound" in text


def test_without_a_gpu_nothing_is_measured_and_the_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    done = typed("gpu.py", "--page", str(page), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "there is no GPU that PyTorch can use here: nothing was measured\n"
    assert page.read_text() == PAGE


def test_a_meter_leaves_out_what_parts_within_spend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    clock = [0.0]
    meter = runpy.run_path(str(ROOT / "benchmarks" / "stages.py"))["Meter"](lambda: clock[0])

    def spend(seconds: float) -> None:
        clock[0] += seconds

    inner = meter.wrapped(spend, "inner")

    def outer() -> None:
        spend(1)
        inner(2)
        inner(4)
        spend(8)

    meter.wrapped(outer, "outer")()
    inner(16)
    assert meter.spent == {"outer": 9, "inner": 22}


@pytest.mark.slow
def test_stages_are_told_with_their_operations_and_peers(tmp_path: Path) -> None:
    (tmp_path / "official").mkdir()
    (tmp_path / "official" / "other.py").write_text(
        "def build(height, width):\n    return lambda frame, before: None\n"
    )
    done = typed("stages.py", "--size", "48", "64", "--official", str(tmp_path / "official"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [re.split(r"\s*\|\s*", line)[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    for name in ("flow: refiner", "matching: features", "fusion"):
        found = [row for row in rows if row[0] == name]
        assert len(found) == 2  # while the memory fills, and when it is full
        assert all(float(row[1]) > 0 and float(row[2]) > 0 and 0 < float(row[4]) < 2 for row in found), name
    assert {"decoding", "encoding", "luminance", "enlarging, RGB", "all"} <= {row[0] for row in rows}
    assert [row[0] for row in rows[-2:]] == ["OpenCV's DIS, medium", "other"]
