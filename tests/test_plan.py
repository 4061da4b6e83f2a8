import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from flowchroma import plan
from flowchroma.film import open_film
from flowchroma.plans.plan_file import FILE
from flowchroma.plans.plan_reading import read_plan

ROOT = Path(__file__).parents[1]
LENGTHS = (14, 9, 14)


def film(folder: Path, seed: int = 0) -> Path:
    """Three shots, in each of which the camera pans over a picture of its own."""
    folder.mkdir()
    random, number = np.random.default_rng(seed), 0
    for length in LENGTHS:
        layers = [cv2.resize(random.random((n, 2 * n), dtype=np.float32), (128, 64)) for n in (4, 9, 20)]
        wide = cv2.normalize(np.sum(layers, axis=0), None, 20, 235, cv2.NORM_MINMAX)
        for t in range(length):
            cv2.imwrite(str(folder / f"{number:04}.png"), wide[:, t : t + 96].astype(np.uint8))
            number += 1
    return folder


def colour(path: Path) -> bytes:
    """Colour a still, as somebody does with a painting program."""
    rgb = cv2.imread(str(path)).astype(np.float32)
    rgb[:, :48] *= (0.4, 0.8, 1)
    rgb[:, 48:] *= (1, 0.9, 0.4)
    cv2.imwrite(str(path), rgb.astype(np.uint8))
    return path.read_bytes()


@pytest.fixture
def run(command):
    return command(plan.main)


def test_a_film_is_planned_as_typed_and_planned_again_without_losing_work(tmp_path) -> None:
    film(tmp_path / "my film, [1]")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def typed(*options: str) -> subprocess.CompletedProcess:
        line = [sys.executable, "-m", "flowchroma.plan", "source=my film, [1]", "output=plan", "device=cpu", *options]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    done = typed()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 shots, 3 stills; expected error 19.0 without more stills, ")
    folder = tmp_path / "plan"
    opened = open_film(tmp_path / "my film, [1]")
    first = read_plan(folder, opened)
    assert [shot.stop for shot in first.shots] == np.cumsum(LENGTHS).tolist()
    assert [len(shot.stills) for shot in first.shots] == [1, 1, 1]
    for still in first.stills:
        picture = cv2.imread(str(folder / f"{still:06}.png"))
        assert np.abs(picture.astype(int) - cv2.imread(str(opened.files[still]))).max() <= 1
    page = (folder / "plan.html").read_text()
    assert page.count('<img src="data:image/jpeg;base64,') == 3
    assert "http://" not in page.split("<script>")[0]

    painted = colour(folder / f"{first.stills[1]:06}.png")
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(text.replace("frames: [14, 22]", "frames: [14, 20]").replace("[23, 36]", "[21, 36]"))
    done = typed("stills=5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 shots, 5 stills, 2 of them new and 1 coloured; ")
    second = read_plan(folder, opened)
    assert set(first.stills) < set(second.stills)
    assert [shot.stop for shot in second.shots] == [14, 21, 37]
    assert (folder / f"{first.stills[1]:06}.png").read_bytes() == painted


def test_coloured_stills_are_never_lost(run, tmp_path) -> None:
    film(tmp_path / "film")
    film(tmp_path / "other", seed=9)
    assert run("source=film", "output=plan", "stills=1", "device=cpu")[0] == 0
    (still,) = (tmp_path / "plan").glob("*.png")
    kept = colour(still)
    for options in (["source=other"], ["source=film", "overwrite=true"], ["source=other", "overwrite=true"]):
        code, _, err = run(*options, "output=plan", "device=cpu")
        assert code == 1
        assert "is the plan of film" in err or "has stills that are coloured: give another output" in err
        assert len(err.splitlines()) == 1
    assert still.read_bytes() == kept


def test_a_gray_plan_is_made_anew_if_that_is_asked_for(run, tmp_path) -> None:
    film(tmp_path / "film")
    film(tmp_path / "other", seed=9)
    assert run("source=film", "output=plan", "stills=6", "device=cpu")[0] == 0
    code, out, _ = run("source=other", "output=plan", "stills=2", "device=cpu", "overwrite=true")
    assert code == 0
    assert out.startswith("3 shots, 2 stills; ")
    assert len(list((tmp_path / "plan").glob("*.png"))) == 2
    bare = next(s for s in read_plan(tmp_path / "plan", open_film(tmp_path / "other")).shots if not s.stills)
    assert all(path.is_file() for path in bare.references)


def test_shots_that_have_colour_keep_it_and_get_no_stills(run, tmp_path) -> None:
    for path in sorted(film(tmp_path / "film").iterdir())[:14]:
        colour(path)
    with pytest.warns(UserWarning, match="the film has no more than [0-9]+ frames to choose from"):
        assert run("source=film", "output=plan", "stills=100", "device=cpu")[0] == 0
    made = read_plan(tmp_path / "plan", open_film(tmp_path / "film"))
    assert [shot.keep_colour for shot in made.shots] == [True, False, False]
    assert not made.shots[0].stills
    assert min(map(len, (shot.stills for shot in made.shots[1:]))) > 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 1, "no source: give source=FILM output=PLAN, or --help"),
        (["source=film"], 1, "no output: give source=FILM output=PLAN, or --help"),
        (["source=nothing", "output=plan"], 1, "no film at nothing"),
        (["source=film", "output=plan", "stills=0"], 2, "stills must be a whole number from 1 on, not 0"),
        (["source=film", "output=plan", "stills=many"], 2, "stills must be a whole number from 1 on, not many"),
        (["source=film", "output=plan", "error=-1"], 2, "error must be a number of CIELAB units above 0, not -1"),
        (["source=film", "output=plan", "stills=3", "error=2"], 2, "stills and error do not go together"),
        (["source=film", "output=film"], 1, "film holds pictures, and no plan: give another output"),
        (["source=film", "output=film/0000.png"], 1, "is no folder: give another output"),
        (["source=film", "output=plan", "still=3"], 2, "unknown option 'still=3'"),
        (["source=film", "output=plan", "checkpoint=nowhere"], 1, "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, options: list[str], code: int, said: str) -> None:
    (tmp_path / "film").mkdir()
    cv2.imwrite(str(tmp_path / "film/0000.png"), np.full((32, 48), 90, np.uint8))
    got, out, err = run(*options)
    assert (got, out) == (code, "")
    assert err.startswith("flowchroma: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "plan").exists()


def test_help_names_every_option(run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(
        f"{option}=" in out for option in ("source", "output", "stills", "error", "checkpoint", "device", "overwrite")
    )


def test_a_wrongly_edited_plan_is_told_with_its_line(run, tmp_path) -> None:
    film(tmp_path / "film")
    assert run("source=film", "output=plan", "stills=1", "device=cpu")[0] == 0
    path = tmp_path / "plan" / FILE
    path.write_text(path.read_text().replace("frames: [14, 22]", "frames: [15, 22]"))
    line = path.read_text()[: path.read_text().index("[15, 22]")].count("\n") + 1
    code, _, err = run("source=film", "output=plan", "device=cpu")
    assert code == 1
    assert err == f"flowchroma: {Path('plan') / FILE}, line {line}: frames [15, 22] leave out frame 14: begin at 14\n"
