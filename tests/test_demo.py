import csv
from pathlib import Path

import pytest

from flowchroma.app import demonstration as demo
from flowchroma.models import FlowChroma, PlaceholderFusion


def test_the_demo_shows_and_scores_what_it_made(
    build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "SEEDS", (7,))
    monkeypatch.setattr(demo, "FRAMES", 4)
    monkeypatch.setattr(demo, "SIZE", (64, 80))
    system = FlowChroma(build("memflow_small"), build("swintexco_small"), PlaceholderFusion()).eval()
    demo.demonstrate(system, tmp_path)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(demo.METHODS)  # the first frame is the reference, and not scored
    from flowchroma.film import open_film

    film = open_film(tmp_path / "comparison.mp4")
    assert (len(film), film.size) == (4, (64, 80 * len(demo.SHOWN)))
    assert (tmp_path / "contact_sheet.png").stat().st_size > 0
    assert "fused" in capsys.readouterr().out
