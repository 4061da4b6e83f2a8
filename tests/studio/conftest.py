"""A gray film of two shots whose true colours are known, studios in processes of their own, and a browser."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from flowchroma.data import SampleFilm
from flowchroma.plans.plan_file import gray_of

ROOT = Path(__file__).parents[2]
LENGTH = 24  # frames of a shot
_RATE, _SOUND = 25, 44100
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip


@dataclass(frozen=True)
class MadeFilm:
    """A gray film on disk."""

    path: Path
    size: tuple[int, int]

    def truth(self, number: int) -> np.ndarray:
        """A frame in its own colours, (H, W, 3) uint8 RGB."""
        shot, at = divmod(number, LENGTH)
        return SampleFilm(1001 + shot, LENGTH, self.size, "val", noise=0.0, light=0.0).read([at])[0]

    def coloured(self, number: int, path: Path) -> Path:
        """A frame as somebody has coloured it, as a picture."""
        cv2.imwrite(str(path), cv2.cvtColor(self.truth(number), cv2.COLOR_RGB2BGR))
        return path


def made_film(path: Path, size: tuple[int, int] = (64, 96)) -> MadeFilm:
    """Two shots of made films, 48 frames in gray, with a tone."""
    film = MadeFilm(path, size)
    with av.open(str(path), "w") as output:
        picture = output.add_stream("libx264", rate=_RATE, options={"crf": "10"})
        picture.width, picture.height, picture.pix_fmt = size[1], size[0], "yuv420p"
        sound = output.add_stream("aac", rate=_SOUND)
        for number in range(2 * LENGTH):
            frame = av.VideoFrame.from_ndarray(gray_of(film.truth(number)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        samples = 2 * LENGTH * _SOUND // _RATE
        tone = (np.sin(np.arange(samples) * 2 * np.pi * 440 / _SOUND) * 8000).astype(np.int16)
        for start in range(0, samples, 1024):
            part = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="s16", layout="mono")
            part.rate, part.pts, part.time_base = _SOUND, start, Fraction(1, _SOUND)
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    return film


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
