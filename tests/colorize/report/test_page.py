"""What is told beside a film of where its colours are unsure."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from flowchroma.app.colouring.reporting import places
from flowchroma.film import open_film
from flowchroma.models.estimate import CALIBRATION_SCALE, Estimate

from .page import Page

ROOT = Path(__file__).parents[3]


def test_the_page_tells_what_was_kept_and_needs_nothing_but_itself(tmp_path, run, system, means, shots, picture):
    shots(tmp_path / "in & <b>out")
    picture(tmp_path / "ref.png")
    code, out, err = run("source=in & <b>out", "reference=ref.png", "output=film.mp4", "report=true")
    assert (code, err) == (0, "")
    assert out.endswith("film.mp4\nwhat it was unsure of: film.report.html\n")
    page, errors = Page(tmp_path / "film.report.html"), means()
    assert len(errors) == 36
    assert page.data == {"start": 0, "frames": 36, "x": list(range(36)), "errors": errors}
    assert f"{np.mean(errors):.1f} CIELAB units off on average" in page.said
    shot_means = [np.mean(errors[:20]), np.mean(errors[20:])]
    assert f"shot {1 + int(np.argmax(shot_means))} is the least sure, with {max(shot_means):.1f}." in page.said
    for start, stop in ((0, 20), (20, 36)):
        row = errors[start:stop]
        told_row = f"{start} to {stop - 1} none {np.mean(row):.2f} {max(row):.2f} {start + int(np.argmax(row))}"
        assert told_row in page.said
    worst = {start + int(np.argmax(errors[start:stop])) for start, stop in ((0, 20), (20, 36))}
    assert worst <= {int(n) for n in re.findall(r"[1-6]: frame ([0-9]+)", page.said)}
    assert all(link.startswith("data:image/jpeg;base64,") for _, link in page.links)
    assert len(page.links) >= 4
    assert "default-src 'none'" in page.markup
    assert not re.search(r"https?://|url\(|@import", page.markup)
    assert "<b>out" not in page.markup
    assert "in & <b>out" in page.said
    assert len(set(page.ids)) == len(page.ids)
    assert "prefers-color-scheme: dark" in page.markup
    assert not list(tmp_path.glob("*.partial"))


def test_maps_are_the_errors_of_the_worst_frames_in_numbers_too(tmp_path, run, system, kept, means, shots, picture):
    shots(tmp_path / "in", (16,))
    picture(tmp_path / "ref.png")
    assert run("source=in", "reference=ref.png", "output=out", "report=true")[0] == 0
    page, errors = Page(tmp_path / "out.report.html"), means()
    (held,) = (np.load(path) for path in kept.glob("worst-*.npz"))
    halves = [int(np.argmax(errors[:8])), 8 + int(np.argmax(errors[8:]))]
    assert held["frames"].tolist() == halves
    for number, coded, rgb in zip(halves, held["errors"], held["pictures"], strict=True):
        assert coded.mean() / 10 == pytest.approx(errors[number], abs=0.05)
        left, right = coded[:, :32].mean() / 10, coded[:, -32:].mean() / 10
        assert left > right + 1
        made = open_film(tmp_path / "out").read([number])[0]
        assert np.array_equal(rgb, made)
    best = max(halves, key=lambda n: errors[n])
    coded = held["errors"][halves.index(best)]
    numbers = re.search(rf"1: frame {best} shot 1 ([0-9.]+) on average, up to ([0-9]+) ([0-9. ]+)", page.said)
    assert float(numbers[1]) == pytest.approx(errors[best], abs=0.06)
    assert float(numbers[2]) == pytest.approx(coded.max() / 10, abs=0.51)
    ninths = [float(text) for text in numbers[3].split()[:9]]
    assert np.mean(ninths) == pytest.approx(errors[best], abs=0.1)
    assert ninths[0] > ninths[2] + 1


@pytest.mark.filterwarnings("ignore:.*differs in size from the first.*")
def test_a_film_of_changing_size_is_told_of(tmp_path, run, system, shots, picture):
    shots(tmp_path / "in", (24,))
    picture(tmp_path / "ref.png")
    for number in range(1, 24):
        path = tmp_path / "in" / f"{number:04}.png"
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (48, 32)))
    code, out, _ = run("source=in", "reference=ref.png", "output=out.mp4", "report=true")
    assert (code, "unsure of: out.report.html" in out) == (0, True)
    stills = list((tmp_path / "out.stills").iterdir())
    assert stills
    assert {cv2.imread(str(still)).shape for still in stills} == {cv2.imread(str(tmp_path / "in/0000.png")).shape}


def test_part_of_a_film_is_told_by_the_film_s_own_numbers(tmp_path, run, system, means, shots, picture):
    shots(tmp_path / "in")
    picture(tmp_path / "ref.png")
    assert run("source=in", "reference=ref.png", "output=out.mp4", "frames=8:30", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert (page.data["start"], page.data["errors"]) == (8, means())
    assert "frames 8 to 29" in page.said
    assert all(8 <= int(path.stem) < 30 for path in (tmp_path / "out.stills").iterdir())


def test_shots_that_keep_their_colour_are_no_moments_and_get_no_still(tmp_path, run, system, shots):
    for path in sorted(shots(tmp_path / "in").iterdir())[:20]:
        frame = cv2.imread(str(path))
        frame[:, :48, 0] //= 3
        frame[:, 48:, 2] //= 3
        cv2.imwrite(str(path), frame)
    assert run("source=in", "reference=first", "output=out.mp4", "keep_colour=true", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert page.data["errors"][:20] == [0.0] * 20
    assert min(page.data["errors"][20:]) > 0
    assert "keeps its own colour" in page.said
    assert all(int(n) >= 20 for n in re.findall(r"[1-6]: frame ([0-9]+)", page.said))
    assert all(int(path.stem) >= 20 for path in (tmp_path / "out.stills").glob("*"))


def test_nothing_is_written_where_none_is_asked_for(tmp_path, run, system, film_file, picture):
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    code, out, _ = run("source=in.mp4", "reference=ref.png", "output=out.mp4", "report=false")
    assert (code, out.count("\n")) == (0, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "ref.png"]


@pytest.mark.parametrize(
    ("output", "page"), [("a.v2.mp4", "a.v2"), ("out", "out"), ("deep/out.v2/", "deep/out.v2"), ("F.MKV", "F")]
)
def test_the_page_and_the_stills_lie_beside_the_film(output: str, page: str) -> None:
    assert places(output) == (Path(f"{page}.report.html"), Path(f"{page}.stills"))


def test_errors_that_are_told_keep_the_order_of_those_that_weigh() -> None:
    weighed = torch.linspace(0.3, 90, 200)
    shown = Estimate(torch.zeros(200, 2), weighed).calibrated().error
    assert (shown.diff() > 0).all()
    assert float(shown.max()) < 19
    assert float(shown[0]) == pytest.approx(CALIBRATION_SCALE * 0.3, rel=0.05)


def test_a_film_coloured_as_typed_is_told_of(tmp_path, shots) -> None:
    shots(tmp_path / "my film", (7, 6))
    frame = cv2.imread(str(tmp_path / "my film/0000.png"))
    frame[:, :48, 0] //= 2
    frame[:, 48:, 2] //= 2
    cv2.imwrite(str(tmp_path / "my film/0000.png"), frame)
    line = [sys.executable, "-m", "flowchroma.colorize", "source=my film", "output=made/film.mp4", "size=32"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*line, "device=cpu"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "what it was unsure of: made/film.report.html"
    page = Page(tmp_path / "made/film.report.html")
    assert len(page.data["errors"]) == 13
    assert page.data["errors"][0] == min(page.data["errors"])
    stills = {path.name for path in (tmp_path / "made/film.stills").glob("*")}
    assert stills == set(re.findall(r"[0-9]{6}\.png", page.said))
    assert {path.name for path in (tmp_path / "made").iterdir()} <= {"film.mp4", "film.report.html", "film.stills"}
