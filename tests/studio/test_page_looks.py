"""How the page looks, reads and is reached: contrast, names, keys, and nothing that jumps."""

import re
from pathlib import Path

import pytest

from .way import LONG, NARROW, WIDE, Way

pytest.importorskip("gradio", reason="no Gradio: pip install 'flowchroma[studio]'")

# What keys reach, from top to bottom.
IN_ORDER = ["film-count", "film-find", "stills-gallery", "still-download", "still-drop", "still-leave", "add", "other",
            "preview-frame", "preview-quality", "preview-go", "colour-quality", "colour-start", "film-video",
            "film-moment"]  # fmt: skip


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
