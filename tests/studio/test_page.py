"""The page in a real browser: a film of two shots becomes coloured, and is looked at."""

import re

import av
import cv2
import numpy as np
import pytest

from flowchroma.film import open_film
from flowchroma.plans.plan_reading import read_plan

from .films import LENGTH
from .way import Way

pytest.importorskip("gradio", reason="no Gradio: pip install 'flowchroma[studio]'")


def test_the_film_that_comes_out_is_coloured_and_has_its_sound(coloured: Way) -> None:
    made, source = open_film(coloured.folder / "film.mp4"), open_film(coloured.film.path)
    assert (len(made), made.size) == (len(source), source.size)
    stills = read_plan(coloured.folder).stills
    for number in (stills[0], stills[0] + 2, stills[-1]):
        truth = coloured.film.truth(number).astype(int)
        assert np.abs(made.read([number])[0] - truth).mean() < 0.5 * np.abs(source.read([number])[0] - truth).mean()
    packets = []
    for path in (coloured.folder / "film.mp4", coloured.film.path):
        with av.open(str(path)) as container:
            packets.append([bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size])
    assert packets[0] == packets[1]


def test_the_result_is_played_beside_itself_in_gray(coloured: Way) -> None:
    page = coloured.page
    coloured.keep("result")
    curve = page.locator("#film-curve")
    curve.click(position={"x": curve.bounding_box()["width"] * 0.76, "y": 20})
    coloured.line("film-at", "frame 36")
    assert page.evaluate("document.getElementById('film-video').currentTime") == pytest.approx(36.5 / 25, abs=0.02)
    gray = cv2.imdecode(np.frombuffer(page.locator("#film-gray").screenshot(), np.uint8), cv2.IMREAD_COLOR).astype(int)
    assert np.ptp(gray, axis=2).max() <= 1
    own = open_film(coloured.film.path).read([36])[0]
    differences = cv2.resize(own, gray.shape[1::-1], interpolation=cv2.INTER_LINEAR) - gray
    assert abs(differences.mean()) < 3
    assert np.abs(differences).mean() < 6
    page.locator(".moments button").first.click()
    frame = int(re.search(r"frame ([0-9]+)", page.locator(".moments button").first.inner_text())[1])
    coloured.line("film-at", f"frame {frame}")
    for words in page.locator(".moments button").all_inner_texts():
        minutes, seconds, frame = map(int, re.match(r"([0-9]+):([0-9]+), frame ([0-9]+)", words).groups())
        assert 60 * minutes + seconds == frame // 25, words


def test_a_frame_is_previewed_at_once_and_says_what_it_is(coloured_stills: Way) -> None:
    way, page = coloured_stills, coloured_stills.page
    still = read_plan(way.folder).stills[-1]
    way.preview(still)
    way.line("preview-line", "is a still" if not (way.folder / "film.mp4").exists() else "is finished")
    way.preview(LENGTH + 1)
    way.line("preview-maps", f"Astill {still}: ")  # most of it: pictures that other tests dropped lend some
    way.line("preview-maps", "CIELAB units on average")
    page.wait_for_function("document.querySelectorAll('#preview-both img').length == 2")
    way.keep("preview")


def test_the_slider_over_the_preview_is_moved_by_keys(coloured_stills: Way) -> None:
    way, page = coloured_stills, coloured_stills.page
    way.preview(LENGTH + 2)
    handle = page.locator("#preview-both [data-testid=slider]")
    before = handle.bounding_box()["x"]
    handle.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    width = page.locator("#preview-both .slider-wrap .wrap").first.bounding_box()["width"]
    assert handle.bounding_box()["x"] - before == pytest.approx(0.1 * width, abs=4)
    assert handle.get_attribute("aria-valuenow") == "60"


def test_what_would_help_most_leads_back_to_the_stills(coloured: Way) -> None:
    way, page = coloured, coloured.page
    (way.folder / "proposed.json").write_text('{"30": 0.81, "17": 0.4, "9": 0.2}')
    way.line("result-helps", "These two stills, coloured by hand:")
    way.line("result-helps", "Frame 30: takes 0.81 CIELAB units off")
    before = set(read_plan(way.folder).stills)
    page.click("#result-take")
    way.line("result-line", "They are stills now")
    assert set(read_plan(way.folder).stills) == before | {17, 30}
    page.wait_for_function("document.activeElement.id === 'stills'")
    assert page.locator("#stills").is_visible()
    way.line("still-words", "Frame 17,")
    way.keep("stills")
    way.leave(17)
    way.leave(30)
