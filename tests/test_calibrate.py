import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from flowchroma.data import SampleFilm
from flowchroma.film.image_files import write_png
from flowchroma.models import ErrorModel

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "calibrate.py"
calibrate = runpy.run_path(str(SCRIPT))


def test_constants_that_made_the_errors_are_found_again() -> None:
    random, true = np.random.default_rng(1), ErrorModel(matched=5, per_similarity=12, per_luma=1.5, recent=4, least=1)
    unlike, difference, flow = random.exponential(0.3, 200_000), random.exponential(3, 200_000), np.full(200_000, 0.3)
    flow[::2] = random.exponential(5, 100_000) + 0.3
    matched = true.matched + true.per_similarity * unlike + true.per_luma * difference
    samples = calibrate["Samples"]()
    noise = random.exponential(1, 200_000)  # of mean 1, with the heavy tail that colour errors have
    samples.matches.append(np.stack([unlike, difference, matched * noise]))
    samples.recent.append(np.stack([unlike, difference, np.hypot(matched, true.recent) * noise]))
    samples.flow.append(np.stack([flow, np.hypot(true.least, np.maximum(flow - 2, 0)) * noise]))
    found = calibrate["fit"](samples, ErrorModel())
    for name in ("matched", "per_similarity", "per_luma", "least"):
        assert getattr(found, name) == pytest.approx(getattr(true, name), rel=0.08), name
    assert found.recent == pytest.approx(4, rel=0.25)
    assert found.noise == pytest.approx(2, rel=0.1)
    assert (found.scale, found.most) == (10, 90)


def test_bins_hold_what_was_expected_beside_what_was_true() -> None:
    pairs = np.array([[0.5, 3.0, 3.0, 90.0], [1.0, 2.0, 4.0, 50.0]])
    table = calibrate["reliability_table"](
        {name: [pairs] if name == "carried" else [] for name in calibrate["SOURCES"]}
    )
    rows = {cells[1]: cells[2] for cells in ([c.strip() for c in line.split("|")] for line in table.splitlines())}
    assert rows["0 to 1"] == "25 %: 0.5 / 1.0"
    assert rows["2 to 4"] == "50 %: 3.0 / 3.0"
    assert rows["all"] == "100 %: 24.1 / 14.2"


def test_films_are_read_and_the_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (1, 2):
        folder = tmp_path / "films" / f"film{seed}"
        folder.mkdir(parents=True)
        for number, frame in enumerate(SampleFilm(seed, 3, (48, 64), "train").read(range(3))):
            write_png(folder / f"{number}.png", frame)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- reliability -->\nold\n<!-- end of reliability -->\nafter\n")
    monkeypatch.setattr(sys, "argv", ["calibrate", str(tmp_path / "films"), "--frames", "3", "--page", str(page)])
    calibrate["main"]()
    text = page.read_text()
    assert text.startswith("before\n<!-- reliability -->\n2 films, the first 3 frames of each: film1, film2.")
    assert text.endswith("<!-- end of reliability -->\nafter\n")
    assert "old" not in text
    assert all(f"| `{name}` |" in text for name in ("noise", "matched", "recent"))
