from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flowchroma.errors import UserError
from flowchroma.film import open_film
from flowchroma.plans.plan_file import FILE, FilmIdentity, Plan, PlannedShot, write_plan, write_stills
from flowchroma.plans.plan_reading import read_plan


def save(path: Path, seed: int, frames: int) -> Path:
    path.mkdir()
    for n in range(frames):
        picture = np.random.default_rng(seed + n).integers(0, 255, (24, 36, 3), np.uint8)
        cv2.imwrite(str(path / f"{n:03}.png"), picture)
    return path


@pytest.fixture
def film(tmp_path):
    return open_film(save(tmp_path / "film", 0, 20))


@pytest.fixture
def folder(tmp_path, film):
    """A plan of three shots."""
    folder = tmp_path / "plan"
    write_stills(folder, film, [3, 12])
    shots = (PlannedShot(0, 8, (3,)), PlannedShot(8, 15, (12,)), PlannedShot(15, 20, (), (folder / "000003.png",)))
    write_plan(folder, Plan(FilmIdentity.of(film), shots))
    return folder


def edit(folder: Path, old: str, new: str) -> int:
    """Replace a text that is there once, and say in which line it begins."""
    text = (folder / FILE).read_text()
    assert text.count(old) == 1, old
    (folder / FILE).write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def refused(folder: Path, film=None) -> str:
    with pytest.raises(UserError) as caught:
        read_plan(folder, film)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plan_comes_back_as_it_was_written(folder, film) -> None:
    plan = read_plan(folder, film)
    assert plan == read_plan(folder)
    assert plan.film == FilmIdentity.of(film)
    assert plan.stills == (3, 12)
    assert [(shot.start, shot.stop) for shot in plan.shots] == [(0, 8), (8, 15), (15, 20)]
    assert plan.shots[2].references == (folder / "000003.png",)
    held = yaml.safe_load((folder / FILE).read_text())
    assert held["shots"][1] == {"frames": [8, 14], "stills": [12], "references": [], "keep_colour": False}
    assert held["film"] == {"path": str(film.path), "name": "film", "bytes": plan.film.bytes, "frames": 20,
                            "size": [24, 36]}  # fmt: skip


def test_stills_are_gray_pictures_of_full_size_and_are_never_written_over(folder, film) -> None:
    still = cv2.imread(str(folder / "000012.png"))
    assert still.shape == (24, 36, 3)
    assert (still == still[..., :1]).all()
    coloured = b"somebody's work"
    (folder / "000003.png").write_bytes(coloured)
    write_stills(folder, film, [3, 5])
    assert (folder / "000003.png").read_bytes() == coloured
    assert (folder / "000005.png").is_file()
    assert not list(folder.glob(".*"))


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=40), st.lists(st.integers(1, 50), min_size=1, max_size=6), st.data())
def test_any_name_and_any_shots_come_back(tmp_path_factory, name: str, lengths: list[int], data) -> None:
    folder = tmp_path_factory.mktemp("plan")
    ends = np.cumsum([0, *lengths]).tolist()
    shots = []
    for start, stop in pairwise(ends):
        stills = data.draw(st.sets(st.integers(start, stop - 1), max_size=3))
        shots.append(
            PlannedShot(start, stop, tuple(sorted(stills)), (folder / "a b, [c] #1.png",), data.draw(st.booleans()))
        )
    plan = Plan(FilmIdentity(f"/{name}", name, 7, ends[-1], (240, 426)), tuple(shots))
    write_plan(folder, plan)
    assert read_plan(folder, pictures=False) == plan


def test_edits_that_are_allowed(folder, film, tmp_path) -> None:
    write_stills(folder, film, [14])
    cv2.imwrite(str(tmp_path / "harbour.jpg"), np.zeros((8, 8, 3), np.uint8))
    edit(folder, "stills: [12]", "stills: [000014, 12] # as the file is named")
    edit(
        folder,
        'references: ["000003.png"]\n    keep_colour: false',
        "references:\n    - ../harbour.jpg\n    keep_colour: true",
    )
    edit(folder, "- frames: [0, 7]\n    stills: [3]\n    references: []\n    keep_colour: false", "- {frames: [0, 7]}")
    plan = read_plan(folder, film)
    assert plan.shots[0] == PlannedShot(0, 8)
    assert plan.shots[1].stills == (12, 14)
    assert plan.shots[2].keep_colour
    assert plan.shots[2].references == (folder / "../harbour.jpg",)


WRONG = {
    "an unknown key": ("stills: [12]", "still: [12]", "unknown key 'still' in a shot: it has frames, stills, "),
    "a key twice": ("stills: [12]", "frames: [8, 14]", "frames stands twice in a shot"),
    "no number": ("[12]", "[twelve]", "stills must be whole numbers from 0 on, not twelve"),
    "a negative number": ("[12]", "[-2]", "stills must be whole numbers from 0 on, not -2"),
    "a fraction": ("[12]", "[1.5]", "stills must be whole numbers from 0 on, not 1.5"),
    "no list": ("[12]", "12", "stills must be a list in brackets"),
    "another shot's still": ("[12]", "[12, 16]", "stills: 16 is not in its shot, whose frames are 8 to 14"),
    "a still twice": ("[12]", "[12, 12]", "stills: 12 stands twice"),
    "a still without a picture": ("[12]", "[12, 13]", "stills: 13 has no picture 000013.png in "),
    "shots that overlap": ("[8, 14]", "[6, 14]", "frames [6, 14] overlap the shot before, which ends at 7: begin at 8"),
    "frames left out": ("[8, 14]", "[10, 14]", "frames [10, 14] leave out frames 8 to 9: begin at 8"),
    "one frame left out": ("[8, 14]", "[9, 14]", "frames [9, 14] leave out frame 8: begin at 8"),
    "the last frames left out": ("[15, 19]", "[15, 17]", "the shots leave out frames 18 to 19: the last one must"),
    "frames after the end": ("[15, 19]", "[15, 20]", "go on after the film's end: its frames are 0 to 19"),
    "an end before the beginning": ("[8, 14]", "[8, 7]", "frames [8, 7] end before they begin"),
    "three numbers": ("[8, 14]", "[8, 14, 15]", "frames must be two numbers in brackets"),
    "no flag": ("keep_colour: false\n  - frames: [8", "keep_colour: no\n  - frames: [8", "keep_colour must be true or"),
    "no such reference": ('["000003.png"]', '["sea.jpg"]', "references: no picture at "),
    "no frames": ("- frames: [8, 14]\n    stills", "- stills", "a shot has no frames: add it"),
    "no YAML": ("[8, 14]", "[8, 14", "expected ',' or ']'"),
    "a tab": ("    stills: [12]", "\tstills: [12]", "found character '\\t'"),
    "shots that are no list": ("shots:\n", "shots: 3\nmore:\n", "unknown key 'more' in the plan"),
    "no size": ("  bytes: ", "  byte: ", "unknown key 'byte' in film"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_edit_is_one_line_with_its_number(folder, film, kind: str) -> None:
    old, new, said = WRONG[kind]
    line = edit(folder, old, new)
    message = refused(folder, film)
    assert said in message
    around = range(line, line + 4)  # a missing bracket is noticed further on
    assert any(message.startswith(f"{folder / FILE}, line {n}: ") for n in around), (line, message)
    if kind not in ("no YAML", "shots that are no list", "no flag"):
        assert message.startswith(f"{folder / FILE}, line {line}: ")


def test_the_plan_of_another_film_is_refused_and_that_of_one_moved_is_not(folder, film, tmp_path) -> None:
    other = open_film(save(tmp_path / "other", 500, 20))
    assert "is the plan of film, with 20 frames" in refused(folder, other)
    assert str(other.path) in refused(folder, other)
    (tmp_path / "elsewhere").mkdir()
    film.path.rename(tmp_path / "elsewhere/film")
    assert read_plan(folder, open_film(tmp_path / "elsewhere/film")).stills == (3, 12)


def test_no_plan_an_empty_one_and_one_that_is_no_text(tmp_path) -> None:
    assert "no plan at" in refused(tmp_path)
    (tmp_path / FILE).write_text("# nothing\n")
    assert "is empty" in refused(tmp_path)
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")
    assert "no UTF-8 text" in refused(tmp_path)
    (tmp_path / FILE).write_text("3\n")
    assert "line 1: the plan must have film, shots" in refused(tmp_path)


def test_a_still_may_have_any_name_of_its_frame(folder, film) -> None:
    (folder / "000012.png").rename(folder / "frame_12.png")
    assert read_plan(folder, film).stills == (3, 12)
    (folder / "frame_12.png").unlink()
    assert "stills: 12 has no picture" in refused(folder, film)
    assert read_plan(folder, film, pictures=False).stills == (3, 12)
