"""The stills that would help, and what is to be typed with them."""

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from flowchroma.app.colouring.reporting import how_to

from .page import Page


def test_the_stills_and_what_to_type_with_them_work(tmp_path, run, system, shots, picture):
    shots(tmp_path / "in")
    picture(tmp_path / "ref.png")
    first = ("source=in", "reference=ref.png", "output=out film.mp4")
    assert run(*first, "report=true")[0] == 0
    page, folder = Page(tmp_path / "out film.report.html"), tmp_path / "out film.stills"
    stills = sorted(folder.iterdir())
    assert stills
    for path in stills:
        made, own = cv2.imread(str(path)), cv2.imread(str(tmp_path / "in" / f"{int(path.stem):04}.png"))
        assert np.abs(made.astype(int) - own).max() <= 1
        assert re.search(rf"{path.name} shot {1 + (int(path.stem) >= 20)} takes off [0-9.]+", page.said)
    typed = re.search(r"<code>(.*?)</code>", page.markup)[1].replace("&#39;", "'")
    assert shlex.split(typed) == ["keyframes=out film.stills", "overwrite=true"]
    tinted = [cv2.imread(str(path)).astype(float) * (0.4, 1, 0.7 + 0.6 * (at % 2)) for at, path in enumerate(stills)]
    for path, bgr in zip(stills, tinted, strict=True):
        bgr[:, :48] = bgr[:, :48, ::-1]
        cv2.imwrite(str(path), bgr.clip(0, 255).astype(np.uint8))
    before = {path: path.read_bytes() for path in stills}
    code, _, err = run(*first, *shlex.split(typed), "report=true")
    assert code == 0, err
    again = Page(tmp_path / "out film.report.html")
    assert f"keyframes {len(stills)}" in again.said
    assert {path: path.read_bytes() for path in stills} == before, "what was coloured is never written over"
    assert not re.findall("|".join(f"{path.name} shot" for path in stills), again.said)


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ([], "reference=first keyframes=out.stills overwrite=true"),
        (["reference=first"], "keyframes=out.stills overwrite=true"),
        (["keyframes=mine"], "overwrite=true"),
        (["keyframes=out.stills"], "overwrite=true"),
    ],
)
def test_what_is_to_be_typed_keeps_what_was_given(tmp_path, run, system, shots, given, typed):
    shots(tmp_path / "in")
    frame = cv2.imread(str(tmp_path / "in/0000.png"))
    frame[:, :48, 0] //= 2
    frame[:, 48:, 2] //= 2
    for name in ("in/0000.png", "mine/000000.png", "out.stills/000000.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), frame)
    assert run("source=in", *given, "output=out.mp4", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert f"<code>{typed}</code>" in page.markup
    assert ("put them into mine" in page.said) == (given == ["keyframes=mine"])


def test_in_a_plan_stills_join_those_of_their_shots() -> None:
    told_of = how_to(OmegaConf.create({"plan": "my plan", "keyframes": None, "reference": None}), Path("out.stills"))
    assert told_of.options == "overwrite=true"
    assert "put them into my plan and their numbers into the stills of their shots in plan.yaml" in told_of.sentence
    assert told_of.sentence.endswith("Shots that they do not touch are not computed again.")
