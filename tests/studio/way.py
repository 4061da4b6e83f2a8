"""The way of a film through the page, as a restorer goes it.

With FLOWCHROMA_SCREENS=FOLDER it is gone with a larger film, and a picture of each screen is kept, as docs/studio.md
shows them.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .films import MadeFilm

SCREENS = os.environ.get("FLOWCHROMA_SCREENS")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LONG = 40_000  # milliseconds


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

    def open(self, part: str) -> None:
        """Open a part that is closed at first."""
        if not self.page.locator(f"#{part} .label-wrap.open").count():
            self.page.click(f"#{part} .label-wrap")

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
