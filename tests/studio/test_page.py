"""The page in a real browser: the whole way of a film of two shots, as a restorer goes it.

With FLOWCHROMA_SCREENS=FOLDER it is gone with a larger film, and a picture of each screen is kept, as docs/studio.md
shows them.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from flowchroma.film import open_film
from flowchroma.film.references import has_colour
from flowchroma.plans.plan_reading import read_plan

from .conftest import LENGTH, MadeFilm, made_film, served

pytest.importorskip("gradio", reason="no Gradio: pip install 'flowchroma[studio]'")

SCREENS = os.environ.get("FLOWCHROMA_SCREENS")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LONG = 40_000  # milliseconds
# What keys reach, from top to bottom.
IN_ORDER = ["film-count", "film-find", "stills-gallery", "still-download", "still-drop", "still-leave", "add", "other",
            "preview-frame", "preview-quality", "preview-go", "colour-quality", "colour-start", "film-video",
            "film-moment"]  # fmt: skip


@dataclass
class Way:
    """A studio, its page, and what was noticed on it."""

    page: Any
    address: str
    folder: Path  # of the project
    film: MadeFilm
    asked: list[str]  # addresses of requests
    wrong: list[str]  # errors of the browser's console

    def line(self, name: str, text: str) -> None:
        """Wait for a part of the page that has this text."""
        script = "([id, text]) => document.getElementById(id).innerText.includes(text)"
        try:
            self.page.wait_for_function(script, arg=[name, text], timeout=LONG)
        except Exception as error:
            told = self.page.inner_text(f"#{name}")
            raise AssertionError(f"{name} says {told!r}, and not {text!r}; {self.wrong}") from error

    def keep(self, screen: str) -> None:
        """Keep a picture of a screen, if that is asked for, and see that there is something on it."""
        place = self.page.locator(f"#screen-{screen}")
        place.scroll_into_view_if_needed()
        self.page.wait_for_timeout(300)
        data = place.screenshot()
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape[1] > 300
        assert pixels.shape[0] > 200
        assert pixels.std() > 10
        if SCREENS:
            Path(SCREENS).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(f"{SCREENS}/{screen}.jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])

    def drop(self, name: str, path: Path) -> None:
        self.page.set_input_files(f"#{name} input[type=file]", str(path))

    def choose(self, frame: int) -> None:
        """Choose a still."""
        self.page.locator("#stills-gallery button.thumbnail-item", has_text=f"frame {frame},").click()
        self.line("still-words", f"Frame {frame},")

    def leave(self, frame: int) -> None:
        """Leave a still out."""
        self.choose(frame)
        self.page.click("#still-leave")
        self.line("stills-line", f"Frame {frame} is no still any more")
        self.page.locator("#stills-gallery .thumbnail-item", has_text=f"frame {frame},").wait_for(state="detached")

    def preview(self, frame: int) -> None:
        self.page.fill("#preview-frame input[type=number]", str(frame))
        self.page.click("#preview-go")
        self.line("preview-line", f"Frame {frame}")


@pytest.fixture(scope="module")
def opened(chromium, tmp_path_factory) -> Iterator[Way]:
    """A studio without a film."""
    folder = tmp_path_factory.mktemp("studio")
    film = made_film(folder / "street.mp4", (216, 320) if SCREENS else (64, 96))
    with served("project=street_plan", folder=folder) as studio:
        page = chromium.new_page(viewport=WIDE)
        way = Way(page, studio.address, folder / "street_plan", film, [], [])
        page.on("request", lambda request: way.asked.append(request.url))
        page.on("console", lambda message: way.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: way.wrong.append(str(error)))
        page.goto(studio.address)
        page.wait_for_selector("body.ready", timeout=LONG)
        yield way
        page.close()


@pytest.fixture(scope="module")
def planned(opened: Way) -> Way:
    """The film is named by its path, and its shots and stills are found."""
    opened.line("film-facts", "There is no film yet.")
    opened.page.fill("#film-path input, #film-path textarea", str(opened.folder / "nothing.mp4"))
    opened.page.click("#film-use")
    opened.line("film-line", "Not done: no film at")
    opened.page.fill("#film-path input, #film-path textarea", str(opened.film.path))
    opened.page.click("#film-use")
    opened.line("film-facts", "48 frames, 25 a second")
    opened.line("film-facts", "1 sound track")
    opened.page.click("#film-find")
    opened.page.wait_for_selector("#stills-gallery .thumbnail-item", timeout=LONG)
    opened.line("job-film", "Done: ")
    opened.line("film-facts", "shots")
    opened.keep("film")
    return opened


@pytest.fixture(scope="module")
def coloured_stills(planned: Way, tmp_path_factory) -> Way:
    """Both stills are downloaded, coloured and dropped back, and a third frame is added."""
    folder, way = tmp_path_factory.mktemp("by hand"), planned
    for frame in read_plan(way.folder).stills:
        way.choose(frame)
        with way.page.expect_download() as download:
            way.page.click("#still-download")
        assert download.value.suggested_filename == f"{frame:06}.png"
        gray = cv2.imread(str(download.value.path()))
        assert gray.shape[:2] == way.film.size
        assert not has_colour(gray)
        way.drop("still-drop", way.film.coloured(frame, folder / f"{frame:06}.png"))
        way.line("stills-line", f"{frame:06}.png fits frame {frame} exactly")
        way.line("still-words", "It is coloured")
    way.page.click("#add .label-wrap")
    way.page.fill("#add-frame input[type=number]", "3")
    way.page.wait_for_selector("#add-picture img", timeout=LONG)
    way.page.click("#add-add")
    way.line("more-line", "Frame 3 is a still now")
    way.line("still-words", "Frame 3,")
    way.drop("still-drop", way.film.coloured(3, folder / "my colours of three.png"))
    way.line("stills-line", "my colours of three.png fits frame 3 exactly")
    return way


@pytest.fixture(scope="module")
def coloured(coloured_stills: Way) -> Way:
    """The film is coloured, with the page closed and opened anew in between."""
    way, page = coloured_stills, coloured_stills.page
    page.check("#colour-quality input[value=quick]")
    page.click("#colour-start")
    way.line("job-colour", "Colouring: ")
    page.wait_for_function(
        "/Colouring: [3-9][0-9]%.* of 2 shots are done/.test(document.getElementById('job-colour').innerText)",
        timeout=LONG,
    )
    page.click("#colour-pause")
    way.line("colour-line", "Paused")
    page.goto("about:blank")
    page.goto(way.address)
    page.wait_for_selector("body.ready", timeout=LONG)
    way.line("job-colour", "Paused. Colouring: ")
    assert page.locator("#colour-quality input[value=quick]").is_checked()
    assert page.locator("#stills-gallery .thumbnail-item", has_text=": coloured").count() == 3
    way.keep("colour")
    page.click("#colour-start")
    way.line("job-colour", "Done: ")
    page.wait_for_function("document.getElementById('film-video')?.readyState >= 2", timeout=LONG)
    return way


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


def test_a_frame_is_previewed_at_once_and_says_what_it_is(coloured_stills: Way) -> None:
    way, page = coloured_stills, coloured_stills.page
    still = read_plan(way.folder).stills[-1]
    way.preview(still)
    way.line("preview-line", "is a still" if not (way.folder / "film.mp4").exists() else "is finished")
    way.preview(LENGTH + 1)
    way.line("preview-maps", f"still {still}: 100%")
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
    if not page.locator("#other-drop").is_visible():
        page.click("#other .label-wrap")
    page.locator("#other-shots label", has_text="shot 2").click()
    way.drop("other-drop", way.film.coloured(40, tmp_path / "harbour.png"))
    way.line("more-line", "harbour.png lends its colours to shot 2")
    way.line("other-list", "harbour.png: for shot 2")
    assert [len(shot.references) for shot in read_plan(way.folder).shots] == [0, 1]


def test_two_tabs_see_the_same(planned: Way, chromium) -> None:
    other = chromium.new_page(viewport=WIDE)
    other.goto(planned.address)
    other.wait_for_selector("body.ready", timeout=LONG)
    count = len(read_plan(planned.folder).stills)
    gallery = other.locator("#stills-gallery .thumbnail-item")
    assert gallery.count() == count
    page = planned.page
    if not page.locator("#add-frame").is_visible():
        page.click("#add .label-wrap")
    page.fill("#add-frame input[type=number]", "20")
    page.click("#add-add")
    other.wait_for_selector("#stills-gallery .thumbnail-item:has-text('frame 20,')", timeout=LONG)
    planned.leave(20)
    other.wait_for_function(
        f"document.querySelectorAll('#stills-gallery .thumbnail-item').length == {count}", timeout=LONG
    )
    other.close()


def test_the_page_asks_nothing_of_other_hosts_and_makes_no_error(coloured: Way) -> None:
    foreign = [url for url in coloured.asked if not url.startswith((coloured.address, "data:", "blob:", "about:"))]
    assert foreign == []
    assert coloured.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_can_be_read_and_is_named_in_light_and_dark(coloured: Way, chromium, scheme) -> None:
    page = chromium.new_page(viewport=WIDE, color_scheme=scheme)
    page.goto(coloured.address)
    page.wait_for_selector("body.ready", timeout=LONG)
    for part in ("add", "other"):
        page.click(f"#{part} .label-wrap")
    page.click("#preview-go")
    page.wait_for_selector("#preview-maps figure", timeout=LONG)
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        page.wait_for_timeout(400)
        count, wrong, too_wide = page.evaluate((Path(__file__).parent / "looks.js").read_text())
        assert count > 60
        assert wrong == []
        assert too_wide <= 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall("[0-9]+", paper)[:3])) < 150) == (scheme == "dark")
    page.close()


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


def test_the_way_is_gone_with_keys_alone(coloured: Way, chromium) -> None:
    page = chromium.new_page(viewport=WIDE)
    page.goto(coloured.address)
    page.wait_for_selector("body.ready", timeout=LONG)
    reached: list[str] = []
    for _ in range(80):
        page.keyboard.press("Tab")
        where = page.evaluate(
            "(() => { const e = document.activeElement, b = e.closest('[id]:not([id^=range])');"
            " return [b ? b.id : e.tagName, getComputedStyle(e).outlineStyle]; })()"
        )
        if where[0] == "BODY":  # once round
            break
        assert where[1] != "none", f"nothing shows that {where[0]} is reached"
        reached.append(where[0])
    places = [reached.index(name) for name in IN_ORDER]
    assert places == sorted(places)
    page.focus("#preview-frame input[type=range]")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.focus("#preview-go")
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('preview-line').innerText.includes('Frame 3')", timeout=LONG)
    page.close()


def test_nothing_jumps_when_the_page_is_opened_and_used(coloured: Way, chromium) -> None:
    page = chromium.new_page(viewport=WIDE)
    page.add_init_script(
        "window.jumps = []; new PerformanceObserver((list) => { for (const e of list.getEntries())"
        " window.jumps.push([e.value, e.sources.map((s) => s.node?.id || s.node?.className || '')]); })"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    page.goto(coloured.address)
    page.wait_for_selector("body.ready", timeout=LONG)
    page.wait_for_timeout(500)
    page.click("#preview-go")
    page.wait_for_selector("#preview-maps figure", timeout=LONG)
    page.wait_for_timeout(800)
    jumps = page.evaluate("window.jumps")
    assert sum(value for value, _ in jumps) < 0.1, jumps
    page.close()
