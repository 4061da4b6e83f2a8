"""Stills on the page: wrong pictures, pictures of something else, and frames that are added."""

import cv2
import numpy as np
import pytest

from flowchroma.film import open_film
from flowchroma.plans.plan_reading import read_plan

from .films import LENGTH
from .way import LONG, WIDE, Way

pytest.importorskip("gradio", reason="no Gradio: pip install 'flowchroma[studio]'")

# The part is opened by a browser that draws late, as it does where other work keeps it busy: its frames are held back
# until something is typed.
_TYPED_AT_ONCE = """async () => {
  const [held, own] = [[], window.requestAnimationFrame];
  window.requestAnimationFrame = (act) => held.push(act);
  document.querySelector("#add .label-wrap").click();
  await new Promise((done) => setTimeout(done, 300));
  const input = document.querySelector("#add-frame input[type=number]");
  input.focus();
  input.value = "18";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  window.requestAnimationFrame = own;
  held.forEach((act) => act(performance.now()));
  await new Promise((done) => setTimeout(done, 500));
  return input.value;
}"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("of another frame.png", "does not show frame"),
        ("of something else.png", "nor one near it"),
        ("gray.png", "is gray: colour it"),
        ("no picture.png", "is no picture that can be read"),
    ],
)
def test_a_wrong_picture_is_refused_in_a_line_and_changes_nothing(coloured_stills: Way, tmp_path, name, said) -> None:
    way = coloured_stills
    frame = read_plan(way.folder).stills[-1]
    before = {path: path.read_bytes() for path in sorted(way.folder.glob("*.png"))}
    if "frame" in name:
        way.film.coloured(frame + 9 if frame + 9 < 2 * LENGTH else frame - 9, tmp_path / name)
    elif "else" in name:
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8))
    elif "gray" in name:
        cv2.imwrite(str(tmp_path / name), open_film(way.film.path).read([frame])[0])
    else:
        (tmp_path / name).write_text("<svg onload=alert(1)>")
    way.choose(frame)
    way.drop("still-drop", tmp_path / name)
    way.line("stills-line", said)
    way.line("stills-line", "Not done: ")
    assert {path: path.read_bytes() for path in sorted(way.folder.glob("*.png"))} == before


def test_a_picture_of_something_else_lends_its_colours(coloured_stills: Way, tmp_path) -> None:
    way, page = coloured_stills, coloured_stills.page
    way.open("other")
    page.locator("#other-shots label", has_text="shot 2").click()
    way.drop("other-drop", way.film.coloured(40, tmp_path / "harbour.png"))
    way.line("more-line", "harbour.png lends its colours to shot 2")
    way.line("other-list", "harbour.png: for shot 2")
    assert [len(shot.references) for shot in read_plan(way.folder).shots] == [0, 1]


def test_what_is_typed_as_soon_as_a_part_is_opened_stays(planned: Way, chromium) -> None:
    page = chromium.new_page(viewport=WIDE)
    page.goto(planned.address)
    page.wait_for_selector("body.ready", timeout=LONG)
    page.click("#add .label-wrap", trial=True)
    assert page.evaluate(_TYPED_AT_ONCE) == "18"
    page.click("#add-add")
    page.wait_for_function("document.getElementById('more-line').innerText.includes('Frame 18 is')", timeout=LONG)
    page.close()
    planned.leave(18)
