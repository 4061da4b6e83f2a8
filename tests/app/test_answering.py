"""Help and wrong options are answered before anything slow is imported; benchmarks/answering.py measures the times."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ANSWERS = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "answering.py"))["ANSWERS"]
SLOW = ("torch", "torchvision", "lightning", "torchmetrics", "scipy", "cv2", "av", "wandb", "plotly", "timm", "skimage")
PROGRAM = """
import json, runpy, sys
command, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(f"flowchroma.{command}", run_name="__main__")
except SystemExit as end:
    print(json.dumps({"code": end.code or 0, "imported": sorted(sys.modules)}))
else:
    print(json.dumps({"code": 0, "imported": sorted(sys.modules)}))
"""


@pytest.mark.parametrize("answer", ANSWERS, ids=" ".join)
def test_help_and_wrong_options_wait_for_no_slow_import(answer: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *answer], capture_output=True, text=True, check=True, cwd=tmp_path, timeout=120
    )
    told = json.loads(done.stdout.splitlines()[-1])
    helps = {"--help", "--hydra-help"} & set(answer)
    assert told["code"] == (0 if helps else 2)
    assert (done.stdout if helps else done.stderr).strip()
    allowed = {"torch"} if answer[0] in ("colorize", "ship") else set()  # their own functions take tensors
    assert set(SLOW) & set(told["imported"]) <= allowed
