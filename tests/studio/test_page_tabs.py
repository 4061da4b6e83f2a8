"""Several tabs of one studio."""

from pathlib import Path

import cv2
import pytest

from flowchroma.film import open_film
from flowchroma.plans.plan_file import FilmIdentity, Plan, PlannedShot, gray_of, still_name, write_plan
from flowchroma.plans.plan_reading import read_plan

from .conftest import served
from .films import MadeFilm
from .way import LONG, WIDE, Way

pytest.importorskip("gradio", reason="no Gradio: pip install 'flowchroma[studio]'")


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A project whose film is so large, and has so many stills, that a preview in full quality takes seconds."""
    truth, folder = MadeFilm(tmp_path / "large", (240, 426)), tmp_path / "plan"
    truth.path.mkdir()
    frames = 48
    for number in range(frames):
        cv2.imwrite(str(truth.path / f"{number:06}.png"), gray_of(truth.truth(number)))
    folder.mkdir()
    stills = tuple(number for number in range(frames) if number not in (2, 4))
    for still in stills:
        truth.coloured(still, folder / still_name(still))
    write_plan(folder, Plan(FilmIdentity.of(open_film(truth.path)), (PlannedShot(0, frames, stills),)))
    return folder


def test_two_tabs_see_the_same(planned: Way, chromium) -> None:
    other = chromium.new_page(viewport=WIDE)
    other.goto(planned.address)
    other.wait_for_selector("body.ready", timeout=LONG)
    count = len(read_plan(planned.folder).stills)
    gallery = other.locator("#stills-gallery .thumbnail-item")
    assert gallery.count() == count
    page = planned.page
    planned.open("add")
    page.fill("#add-frame input[type=number]", "20")
    page.click("#add-add")
    other.wait_for_selector("#stills-gallery .thumbnail-item:has-text('frame 20,')", timeout=LONG)
    planned.leave(20)
    other.wait_for_function(
        f"document.querySelectorAll('#stills-gallery .thumbnail-item').length == {count}", timeout=LONG
    )
    other.close()


def test_a_second_tab_waits_while_something_is_computed_says_so_and_is_served_after(slow: Path, chromium) -> None:
    with served(f"project={slow}", folder=slow) as studio:
        tabs = []
        for frame in (2, 4):
            page = chromium.new_page(viewport=WIDE)
            page.goto(studio.address)
            page.wait_for_selector("body.ready", timeout=LONG)
            page.check("#preview-quality input[value=full]")
            page.fill("#preview-frame input[type=number]", str(frame))
            tabs.append(Way(page, studio.address, slow, MadeFilm(slow, (240, 426)), [], []))
        first, second = tabs
        first.page.click("#preview-go")
        first.line("preview-line", "Computing the preview")
        first.page.wait_for_timeout(300)  # it has begun
        second.page.click("#preview-go")
        second.line("preview-line", "Waiting: what was asked for before is computed first")
        first.line("preview-line", "Frame 2, by matching alone")
        second.line("preview-line", "Frame 4, by matching alone")
        for tab in tabs:
            tab.page.close()
