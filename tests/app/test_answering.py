import runpy
from pathlib import Path

import pytest

MODULE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "answering.py"))


@pytest.fixture(scope="module")
def torch_time() -> float:
    return MODULE["seconds"]("-c", "import torch")


@pytest.mark.parametrize("answer", MODULE["ANSWERS"], ids=" ".join)
def test_help_and_wrong_options_are_answered_within_seconds(answer: list[str], torch_time: float) -> None:
    assert MODULE["ratio"](answer, torch_time) < MODULE["LIMIT"]
