"""The benchmark of expected errors as they are told, on errors that are known."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from flowchroma.models.estimate import UNRELATED_ERROR, Estimate

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch) -> dict:
    monkeypatch.syspath_prepend(str(FOLDER))
    found = runpy.run_path(str(FOLDER / "expected_error.py"))
    sys.modules.pop("calibrate", None)
    return found


def test_the_scale_that_made_the_truth_is_found_from_films_with_a_first_frame(benchmark) -> None:
    edges, random = benchmark["EDGES"], np.random.default_rng(0)
    centres = np.sqrt(edges[1:] * edges[:-1])
    shares = random.dirichlet(np.full(len(centres), 0.2), 30)
    true = shares @ (3.3 * centres / (1 + 3.3 * centres / UNRELATED_ERROR))
    shown = shares @ Estimate(torch.zeros(2), torch.from_numpy(centres)).calibrated().error.numpy()
    films = [
        benchmark["Errors"]("a, first frame", shown, true, shares),
        benchmark["Errors"]("a, reference", shown, true / 5, shares),
    ]
    assert benchmark["fit"](films) == pytest.approx(3.3, abs=0.01)
    lines = benchmark["table"](films).splitlines()
    assert lines[2].startswith(f"| a, first frame | 30 | {shown.mean():.2f} | ")
    assert lines[-2].split("|")[5].strip() == f"{shown.mean() / true.mean():.2f}"
