"""How a studio's memory grows over many previews, and how long one takes.

    python benchmarks/studio_memory.py [--previews 200] [--quality quick] [--size 216 320] [--page docs/studio.md]

A made film of 48 frames in two shots, a coloured still in each, in a folder that is gone afterwards. Each preview is
asked for on the page in a browser, of one frame after the other in an order drawn at random. Memory is that of the
studio's process, as Linux counts it: after the first ten previews, and after the last. With --page, what stands between
<!-- memory --> and <!-- end of memory --> is replaced.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from flowchroma.data import SampleFilm
from flowchroma.film import open_writer
from flowchroma.plans.plan_file import gray_of
from flowchroma.plans.plan_reading import read_plan

LENGTH, WARM = 24, 10


def make_project(folder: Path, size: tuple[int, int]) -> Path:
    """A film, its plan, and its stills in their true colours."""
    films = [SampleFilm(1001 + shot, LENGTH, size, "val", noise=0.0, light=0.0) for shot in range(2)]
    truths = [film.read([at])[0] for film in films for at in range(LENGTH)]
    with open_writer(folder / "film.mp4", fps=25) as writer:
        for rgb in truths:
            writer.write(gray_of(rgb))
    line = [sys.executable, "-m", "flowchroma.plan", f"source={folder / 'film.mp4'}", f"output={folder / 'plan'}"]
    subprocess.run(line, check=True)
    for still in read_plan(folder / "plan").stills:
        cv2.imwrite(str(folder / "plan" / f"{still:06}.png"), truths[still][..., ::-1])
    return folder / "plan"


def resident(pid: int) -> float:
    """Megabytes of a process."""
    return int(re.findall(r"VmRSS:\s+([0-9]+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


def preview_all(address: str, pid: int, count: int, quality: str) -> tuple[list[float], list[float]]:
    """Seconds of each preview, and megabytes after it."""
    from playwright.sync_api import sync_playwright

    seconds, memory = [], []
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body.ready", timeout=60_000)
        page.check(f"#preview-quality input[value={quality}]")
        for frame in np.random.default_rng(0).permutation(np.arange(count) % (2 * LENGTH)).tolist():
            page.fill("#preview-frame input[type=number]", str(frame))
            started = time.perf_counter()
            page.click("#preview-go")
            wanted = rf"Frame {frame}\b(?!.*…)"
            page.wait_for_function(
                "(wanted) => new RegExp(wanted).test(document.getElementById('preview-line').innerText)", arg=wanted
            )
            seconds.append(time.perf_counter() - started)
            memory.append(resident(pid))
        browser.close()
    return seconds, memory


def main() -> None:
    """Run it, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--previews", type=int, default=200)
    parser.add_argument("--quality", choices=("quick", "full"), default="quick")
    parser.add_argument("--size", type=int, nargs=2, default=(216, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the line between its marks in this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = make_project(Path(folder), tuple(given.size))
        line = [sys.executable, "-m", "flowchroma.studio", f"project={plan}", "port=0", "browser=false"]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env={**os.environ})
        assert process.stdout is not None
        try:
            address = re.findall(r"is open: (\S+)", process.stdout.readline())[0]
            seconds, memory = preview_all(address, process.pid, given.previews, given.quality)
        finally:
            process.terminate()
            process.wait()
    before, after = memory[WARM - 1], memory[-1]
    middle, slow = np.median(seconds), np.quantile(seconds, 0.95)
    told = (
        f"{given.previews} previews in a row, {given.quality}, of a film of {given.size[1]} x {given.size[0]}: memory"
        f" {before:.0f} MB after the first ten, {after:.0f} MB after the last ({(after / before - 1) * 100:+.1f} %);"
        f" {middle:.1f} s a preview in the median, {slow:.1f} s at the 95th percentile."
    )
    print(told)
    if given.page:
        head, begin, rest = given.page.read_text().partition("<!-- memory -->\n")
        _, end, tail = rest.partition("<!-- end of memory -->")
        given.page.write_text(f"{head}{begin}{told}\n{end}{tail}")


if __name__ == "__main__":
    main()
