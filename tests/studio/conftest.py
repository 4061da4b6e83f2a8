"""Studios in processes of their own, a browser, and the way of a film through the page."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import pytest

from flowchroma.film.references import has_colour
from flowchroma.plans.plan_reading import read_plan

from .films import MadeFilm, made_film
from .way import LONG, SCREENS, WIDE, Way

ROOT = Path(__file__).parents[2]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip


@dataclass
class Served:
    """A studio that runs."""

    address: str
    process: subprocess.Popen
    said: list[str] = field(default_factory=list)

    def kill(self) -> None:
        """As a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def command(name: str, *options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as it is typed."""
    line = [sys.executable, "-m", f"flowchroma.{name}", *options]
    return subprocess.run(line, cwd=folder, env=environment(), capture_output=True, text=True, timeout=200)


@contextmanager
def served(*options: str, folder: Path, attacked: bool = False) -> Iterator[Served]:
    """A studio as it is started by typing, which ends with the block; Gradio logs where it is attacked."""
    line = [sys.executable, "-m", "flowchroma.studio", *options, "port=0", "device=cpu", "browser=false"]
    process = subprocess.Popen(
        line, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"is open: (\S+)", first)
        assert found, f"{first}{process.communicate(timeout=20)}"
        yield Served(found[1], process)
    finally:
        process.terminate()
        _, said = process.communicate(timeout=30)
        assert attacked or "Traceback" not in said, said


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> MadeFilm:
    return made_film(tmp_path_factory.mktemp("film") / "street.mp4")


@pytest.fixture(scope="session")
def chromium():
    """Chromium, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'flowchroma[dev]'")
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium: make test-browser installs one")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*_FLAGS])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def planned(opened: Way) -> Way:
    """The film is named by its path, and its shots and stills are found."""
    opened.line("film-facts", "There is no film yet.")
    opened.line("preview-missing", "There are no shots yet: find shots and stills first.")
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
    for part in ("preview-missing", "colour-shots"):
        opened.line(part, "No still has colour yet: drop a coloured one first.")
    assert opened.page.is_disabled("#preview-go")
    assert opened.page.is_disabled("#colour-start")
    opened.keep("film")
    return opened


@pytest.fixture(scope="session")
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
    way.open("add")
    way.page.fill("#add-frame input[type=number]", "3")
    way.page.wait_for_selector("#add-picture img", timeout=LONG)
    way.page.click("#add-add")
    way.line("more-line", "Frame 3 is a still now")
    way.line("still-words", "Frame 3,")
    way.drop("still-drop", way.film.coloured(3, folder / "my colours of three.png"))
    way.line("stills-line", "my colours of three.png fits frame 3 exactly")
    return way


@pytest.fixture(scope="session")
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
