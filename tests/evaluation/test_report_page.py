import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from flowchroma.errors import UserError
from flowchroma.evaluation.report import MethodScores, Report, Still, write_html

EVIL = "<script>alert('x')</script> & \"q\""


class Page(HTMLParser):
    """What a browser would load, run and show."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.scripts, self.styles, self.cells, self.text = [], [], [], [], []
        self.stack: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        names = ("src", "href", "srcset", "data", "action", "poster")
        self.links += [(tag, attrs[name]) for name in names if attrs.get(name)]
        self.styles += [attrs["style"]] if attrs.get("style") else []
        if tag in ("script", "style"):
            (self.scripts if tag == "script" else self.styles).append("")
        if tag in ("td", "th"):
            self.cells.append({"text": "", "marks": set(), "order": attrs.get("data-order")})
        if tag in ("b", "u", "sup", "small") and {"td", "th"} & set(self.stack):
            self.cells[-1]["marks"].add(tag)
        if tag not in ("meta", "img", "br", "link"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] += data
        elif self.stack and self.stack[-1] == "style":
            self.styles[-1] += data
        else:
            self.text.append(data)
            if {"td", "th"} & set(self.stack) and "sup" not in self.stack:
                self.cells[-1]["text"] += data.strip()

    def cell(self, text):
        (found,) = [cell for cell in self.cells if cell["text"] == text and cell["order"] is not None]
        return found


def picture(path, color=(200, 60, 40), size=(32, 18)):
    Image.new("RGB", size, color).save(path)
    return path


def method(psnr, **more):
    frames = {"bear": {"frame": [1, 2], "psnr": [psnr, psnr]}}
    return MethodScores({"bear": {"psnr": psnr, **more}}, {"psnr": psnr, **more}, 0.5, frames)


@pytest.fixture
def page(tmp_path):
    def written(report):
        write_html(report, tmp_path / "report.html")
        assert [file.name for file in tmp_path.glob("*.partial")] + [file.name for file in tmp_path.glob(".*")] == []
        return Page(tmp_path / "report.html")

    return written


def test_the_page_needs_nothing_but_itself(page, tmp_path):
    still = Still("bear", 3, picture(tmp_path / "t.jpg"), {"dis": picture(tmp_path / "p.jpg")}, {})
    shown = page(Report({"set": "davis30"}, {"dis": method(30.0), "hold": method(20.0)}, [still]))
    assert not [link for link in shown.links if not link[1].startswith(("data:image/", "#"))]
    assert {tag for tag, _ in shown.links} == {"a", "img"}
    assert not [style for style in shown.styles if re.search(r"url\(|@import", style)]
    assert sum("Plotly, Inc" in script[:500] for script in shown.scripts) == 1
    policy = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    assert policy in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_names_are_text_and_never_markup(page, tmp_path):
    scores = MethodScores(
        {EVIL: {"psnr": 30.0}}, {"psnr": 30.0}, 1.0, {EVIL: {"frame": [1], "psnr": [30.0]}}, {EVIL: EVIL}
    )
    still = Still(EVIL, 3, picture(tmp_path / "t.jpg"), {}, {})
    protocol = {
        "set": EVIL,
        EVIL: [EVIL, {EVIL: EVIL}],
        "problems": [EVIL],
        "absent": {"psnr": EVIL},
        "error maps": EVIL,
    }
    shown = page(Report(protocol, {EVIL: scores, "b": method(None)}, [still]))
    assert not [script for script in shown.scripts if script.startswith("alert")]
    assert len(shown.scripts) == 4  # data, Plotly, base.js, the page's own
    assert json.loads(shown.scripts[0])["clips"] == [EVIL, "bear"]
    assert " ".join(shown.text).count(EVIL) >= 10


def test_the_best_is_bold_and_the_absent_is_a_dash_with_its_reason(page):
    shown = page(
        Report(
            {"absent": {"lpips_vgg": "no weights here"}},
            {
                "oracle": method(44.0, ciede2000=0.5, lpips_vgg=None),
                "a": method(30.0, ciede2000=2.0, lpips_vgg=None),
                "b": method(31.0, ciede2000=3.0, lpips_vgg=None),
            },
        )
    )
    assert {text: shown.cell(text)["marks"] for text in ("44.00", "30.00", "31.00", "2.00", "3.00", "0.50")} == {
        "44.00": set(),
        "30.00": {"u"},
        "31.00": {"b"},
        "2.00": {"b"},
        "3.00": {"u"},
        "0.50": set(),
    }
    absent = [cell for cell in shown.cells if cell["text"] == "—"]
    assert [cell["marks"] for cell in absent] == [{"sup"}] * 3
    assert [cell["order"] for cell in absent] == [""] * 3
    assert "no weights here" in " ".join(shown.text)
    assert "b is best: PSNR 31.00 dB, 1.00 dB above a, and ahead on 1 of 1 clips." in " ".join(shown.text)


def test_ties_are_both_bold(page):
    shown = page(Report({}, {"a": method(31.001), "b": method(31.002), "c": method(20.0)}))
    assert [cell["marks"] for cell in shown.cells if cell["text"] == "31.00"] == [{"b"}, {"b"}]


@pytest.mark.parametrize(
    "report",
    [
        Report({}, {}),
        Report({"set": "one"}, {"dis": method(30.0)}),
        Report({}, {"gray": method(float("inf")), "oracle": method(float("nan"))}),
        Report({}, {"given": MethodScores({"bear": {}}, {})}),
    ],
    ids=["nothing", "one method", "bounds", "no figure"],
)
def test_small_reports_make_a_page(page, report):
    assert page(report).text


def test_problems_and_the_protocol_are_told(page):
    protocol = {
        "set": "davis30",
        "clips": "5 of 30",
        "problems": ["bear: 00003.png is gray"],
        "versions": {"torch": "2.8"},
    }
    text = re.sub(r"\s+", " ", " ".join(page(Report(protocol, {"dis": method(30.0)})).text))
    for said in ("5 of 30", "1 problem", "bear: 00003.png is gray", "torch 2.8"):
        assert said in text
    assert text.index("5 of 30") < text.index("bear: 00003.png") < text.index("Means over")


def test_stills_are_embedded_and_gaps_are_named(page, tmp_path):
    truth, made = picture(tmp_path / "t.jpg"), picture(tmp_path / "p.png", (0, 0, 255))
    stills = [Still(clip, 3, truth, {"dis": made}, {"dis": truth}) for clip in ("bear", "camel")]
    shown = page(Report({}, {"dis": method(30.0), "hold": method(20.0)}, stills))
    kinds = [link.split(";")[0] for tag, link in shown.links if tag == "img"]
    assert kinds == ["data:image/jpeg", "data:image/png", "data:image/jpeg"] * 2
    assert " ".join(shown.text).count("hold: no still") == 2


def test_a_still_that_cannot_be_read_is_named(page, tmp_path):
    with pytest.raises(UserError, match=r"gone\.jpg"):
        page(Report({}, {"dis": method(30.0)}, [Still("bear", 1, tmp_path / "gone.jpg", {}, {})]))
    assert not (tmp_path / "report.html").exists()
