"""What is told beside a film of where its colours are unsure, and which stills would help."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch.nn import functional

from flowchroma.app.colouring import assignments, job, report_page
from flowchroma.app.colouring.reporting import how_to, places
from flowchroma.app.colouring.uncertainty import read_uncertainty
from flowchroma.film import open_film
from flowchroma.film.segments import SegmentStore
from flowchroma.models.estimate import SCALE, Estimate
from flowchroma.models.state import ReferenceMemory

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """What a browser would load and show."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.scripts, self.text, self.stack, self.ids = [], [], [], [], []
        self.markup = path.read_text(encoding="utf-8")
        self.feed(self.markup)
        assert not self.stack, "every element is closed"
        self.data = json.loads(self.scripts[0])
        self.said = re.sub(r"\s+", " ", " ".join(self.text))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [(tag, attrs[name]) for name in ("src", "href", "srcset", "action") if attrs.get(name)]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.scripts += [""] if tag == "script" else []
        if tag not in ("meta", "img", "br"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] += data
        elif self.stack and self.stack[-1] != "style":
            self.text.append(data)


@pytest.fixture
def system(system, monkeypatch):
    """The stand-in, which tells pictures apart, and is the less sure the brighter a frame's left half is."""
    match, encode = system.matcher.match, system.matcher.encode_references

    def told_apart(references):
        patches = functional.unfold(references[:, 0, :1], 8, stride=8).transpose(1, 2)
        keys = functional.normalize(patches - patches.mean(dim=2, keepdim=True), dim=2)
        lab = encode(references).lab.mean(dim=1, keepdim=True).expand(-1, keys.shape[1], -1)
        return ReferenceMemory(keys, lab, torch.zeros(keys.shape[1], dtype=torch.int64))

    def unsure(luma, memories, last=None):
        found = match(luma, memories, last)
        similarity = torch.ones_like(luma)
        half = luma.shape[-1] // 2
        similarity[..., :half] = 1 - luma[..., :half].mean() / 110
        return [replace(each, similarity=similarity) for each in found]

    monkeypatch.setattr(system.matcher, "match", unsure)
    monkeypatch.setattr(system.matcher, "encode_references", told_apart)
    return system


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The folder in which the store's files are found again once the film is joined."""
    join = SegmentStore.join
    folder = tmp_path / "kept"

    def joined(store, *given, **named):
        shutil.copytree(store.folder, folder, dirs_exist_ok=True)
        return join(store, *given, **named)

    monkeypatch.setattr(SegmentStore, "join", joined)
    return folder


@pytest.fixture
def shots():
    """Make a folder of gray frames: shots of other pictures, the light of each of which rises and falls."""

    def made(folder, lengths=(20, 16)):
        folder.mkdir(exist_ok=True)
        number = 0
        for seed, length in enumerate(lengths):
            noise = np.random.default_rng(seed).random((6, 14), dtype=np.float32)
            wide = cv2.resize(noise, (160, 64), interpolation=cv2.INTER_CUBIC).clip(0, 1)
            for t in range(length):
                light = 60 + 120 * np.sin(np.pi * (t + 0.5) / length)
                cv2.imwrite(str(folder / f"{number:04}.png"), (20 + light * wide[:, t : t + 96]).astype(np.uint8))
                number += 1
        return folder

    return made


def means(folder: Path) -> list[float]:
    files = sorted(folder.glob("errors-*.json"), key=lambda path: int(path.stem.split("-")[1]))
    return [error for file in files for error in json.loads(file.read_text())]


def test_the_page_tells_what_was_kept_and_needs_nothing_but_itself(tmp_path, run, system, kept, shots, picture):
    shots(tmp_path / "in & <b>out")
    picture(tmp_path / "ref.png")
    code, out, err = run("source=in & <b>out", "reference=ref.png", "output=film.mp4", "report=true")
    assert (code, err) == (0, "")
    assert out.endswith("film.mp4\nwhat it was unsure of: film.report.html\n")
    page, errors = Page(tmp_path / "film.report.html"), means(kept)
    assert len(errors) == 36
    assert page.data == {"start": 0, "frames": 36, "x": list(range(36)), "errors": errors}
    assert f"{np.mean(errors):.1f} CIELAB units off on average" in page.said
    shot_means = [np.mean(errors[:20]), np.mean(errors[20:])]
    assert f"shot {1 + int(np.argmax(shot_means))} is the least sure, with {max(shot_means):.1f}." in page.said
    for start, stop in ((0, 20), (20, 36)):
        row = errors[start:stop]
        told_row = f"{start} to {stop - 1} none {np.mean(row):.2f} {max(row):.2f} {start + int(np.argmax(row))}"
        assert told_row in page.said
    worst = {start + int(np.argmax(errors[start:stop])) for start, stop in ((0, 20), (20, 36))}
    assert worst <= {int(n) for n in re.findall(r"[1-6]: frame ([0-9]+)", page.said)}
    assert all(link.startswith("data:image/jpeg;base64,") for _, link in page.links)
    assert len(page.links) >= 4
    assert "default-src 'none'" in page.markup
    assert not re.search(r"https?://|url\(|@import", page.markup)
    assert "<b>out" not in page.markup
    assert "in & <b>out" in page.said
    assert len(set(page.ids)) == len(page.ids)
    assert "prefers-color-scheme: dark" in page.markup
    assert not list(tmp_path.glob("*.partial"))


def test_maps_are_the_errors_of_the_worst_frames_in_numbers_too(tmp_path, run, system, kept, shots, picture):
    shots(tmp_path / "in", (16,))
    picture(tmp_path / "ref.png")
    assert run("source=in", "reference=ref.png", "output=out", "report=true")[0] == 0
    page, errors = Page(tmp_path / "out.report.html"), means(kept)
    (held,) = (np.load(path) for path in kept.glob("worst-*.npz"))
    halves = [int(np.argmax(errors[:8])), 8 + int(np.argmax(errors[8:]))]
    assert held["frames"].tolist() == halves
    for number, coded, rgb in zip(halves, held["errors"], held["pictures"], strict=True):
        assert coded.mean() / 10 == pytest.approx(errors[number], abs=0.05)
        left, right = coded[:, :32].mean() / 10, coded[:, -32:].mean() / 10
        assert left > right + 1
        made = open_film(tmp_path / "out").read([number])[0]
        assert np.array_equal(rgb, made)
    best = max(halves, key=lambda n: errors[n])
    coded = held["errors"][halves.index(best)]
    numbers = re.search(rf"1: frame {best} shot 1 ([0-9.]+) on average, up to ([0-9]+) ([0-9. ]+)", page.said)
    assert float(numbers[1]) == pytest.approx(errors[best], abs=0.06)
    assert float(numbers[2]) == pytest.approx(coded.max() / 10, abs=0.51)
    ninths = [float(text) for text in numbers[3].split()[:9]]
    assert np.mean(ninths) == pytest.approx(errors[best], abs=0.1)
    assert ninths[0] > ninths[2] + 1


def test_the_stills_and_what_to_type_with_them_work(tmp_path, run, system, shots, picture):
    shots(tmp_path / "in")
    picture(tmp_path / "ref.png")
    first = ("source=in", "reference=ref.png", "output=out film.mp4")
    assert run(*first, "report=true")[0] == 0
    page, folder = Page(tmp_path / "out film.report.html"), tmp_path / "out film.stills"
    stills = sorted(folder.iterdir())
    assert stills
    for path in stills:
        made, own = cv2.imread(str(path)), cv2.imread(str(tmp_path / "in" / f"{int(path.stem):04}.png"))
        assert np.abs(made.astype(int) - own).max() <= 1
        assert re.search(rf"{path.name} shot {1 + (int(path.stem) >= 20)} takes off [0-9.]+", page.said)
    typed = re.search(r"<code>(.*?)</code>", page.markup)[1].replace("&#39;", "'")
    assert shlex.split(typed) == ["keyframes=out film.stills", "overwrite=true"]
    tinted = [cv2.imread(str(path)).astype(float) * (0.4, 1, 0.7 + 0.6 * (at % 2)) for at, path in enumerate(stills)]
    for path, bgr in zip(stills, tinted, strict=True):
        bgr[:, :48] = bgr[:, :48, ::-1]
        cv2.imwrite(str(path), bgr.clip(0, 255).astype(np.uint8))
    before = {path: path.read_bytes() for path in stills}
    code, _, err = run(*first, *shlex.split(typed), "report=true")
    assert code == 0, err
    again = Page(tmp_path / "out film.report.html")
    assert f"keyframes {len(stills)}" in again.said
    assert {path: path.read_bytes() for path in stills} == before, "what was coloured is never written over"
    assert not re.findall("|".join(f"{path.name} shot" for path in stills), again.said)


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ([], "reference=first keyframes=out.stills overwrite=true"),
        (["reference=first"], "keyframes=out.stills overwrite=true"),
        (["keyframes=mine"], "overwrite=true"),
        (["keyframes=out.stills"], "overwrite=true"),
    ],
)
def test_what_is_to_be_typed_keeps_what_was_given(tmp_path, run, system, shots, given, typed):
    shots(tmp_path / "in")
    frame = cv2.imread(str(tmp_path / "in/0000.png"))
    frame[:, :48, 0] //= 2
    frame[:, 48:, 2] //= 2
    for name in ("in/0000.png", "mine/000000.png", "out.stills/000000.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), frame)
    assert run("source=in", *given, "output=out.mp4", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert f"<code>{typed}</code>" in page.markup
    assert ("put them into mine" in page.said) == (given == ["keyframes=mine"])


def test_in_a_plan_stills_join_those_of_their_shots() -> None:
    told_of = how_to(OmegaConf.create({"plan": "my plan", "keyframes": None, "reference": None}), Path("out.stills"))
    assert told_of.options == "overwrite=true"
    assert "put them into my plan and their numbers into the stills of their shots in plan.yaml" in told_of.sentence
    assert told_of.sentence.endswith("Shots that they do not touch are not computed again.")


def test_a_film_that_is_gone_on_with_is_told_of_as_a_whole(
    tmp_path, run, system, kept, monkeypatch, shots, picture, capsys
):
    monkeypatch.setattr(assignments, "_PIECE", 6)
    shots(tmp_path / "in")
    picture(tmp_path / "ref.png")
    assert run("source=in", "reference=ref.png", "output=whole.mp4", "report=true")[0] == 0
    match, count = system.matcher.match, len(system.calls)

    def fail(*given):
        if len(system.calls) > count + 18:
            raise KeyboardInterrupt
        return match(*given)

    monkeypatch.setattr(system.matcher, "match", fail)
    with pytest.warns(UserWarning, match="frames of .* are done and kept"):
        assert run("source=in", "reference=ref.png", "output=out.mp4", "report=true")[0] == 130
    assert not (tmp_path / "out.report.html").exists()
    monkeypatch.setattr(system.matcher, "match", match)
    assert run("source=in", "reference=ref.png", "output=out.mp4", "report=true")[0] == 0
    whole, parts = (re.sub("whole", "out", (tmp_path / f"{name}.report.html").read_text()) for name in ("whole", "out"))
    assert whole == parts


def test_what_is_torn_is_a_gap_and_the_rest_is_told(tmp_path, run, system, monkeypatch, shots, picture):
    monkeypatch.setattr(assignments, "_PIECE", 6)
    shots(tmp_path / "in", (18,))
    picture(tmp_path / "ref.png")

    def torn(store, assigned):
        for path in (*store.folder.glob("errors-6-12-*"), *store.folder.glob("worst-12-18-*")):
            path.write_bytes(path.read_bytes()[:20])
        return read_uncertainty(store, assigned)

    monkeypatch.setattr(job, "read_uncertainty", torn)
    assert run("source=in", "reference=ref.png", "output=out.mp4", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert [error is None for error in page.data["errors"]] == [False] * 6 + [True] * 6 + [False] * 6
    assert page.markup.count("<polyline") == 2


@pytest.mark.filterwarnings("ignore:.*is whole, but what it was unsure of is not told.*")
def test_a_report_that_fails_costs_no_film(tmp_path, run, system, monkeypatch, shots, picture):
    shots(tmp_path / "in", (12,))
    picture(tmp_path / "ref.png")
    given = ("source=in", "reference=ref.png", "report=true")
    (tmp_path / "a.stills").write_text("no folder")
    (tmp_path / "b.report.html").mkdir()
    for name in ("a", "b"):
        code, out, _ = run(*given, f"output={name}.mp4")
        assert (code, out.startswith("12 frames, ")) == (0, True)
        assert "unsure" not in out
        assert len(open_film(tmp_path / f"{name}.mp4")) == 12
    monkeypatch.setattr(report_page, "_headline", lambda *given: 1 / 0)
    with pytest.warns(UserWarning, match=r"c.mp4 is whole, but what it was unsure of is not told: ZeroDivisionError"):
        assert run(*given, "output=c.mp4")[0] == 0
    monkeypatch.setattr(report_page, "_headline", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    code, _, err = run(*given, "output=d.mp4")
    assert (code, "d.mp4 is whole" in err, "Traceback" in err) == (130, True, False)
    assert len(open_film(tmp_path / "d.mp4")) == 12


@pytest.mark.filterwarnings("ignore:.*differs in size from the first.*")
def test_a_film_of_changing_size_is_told_of(tmp_path, run, system, shots, picture):
    shots(tmp_path / "in", (24,))
    picture(tmp_path / "ref.png")
    for number in range(1, 24):
        path = tmp_path / "in" / f"{number:04}.png"
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (48, 32)))
    code, out, _ = run("source=in", "reference=ref.png", "output=out.mp4", "report=true")
    assert (code, "unsure of: out.report.html" in out) == (0, True)
    stills = list((tmp_path / "out.stills").iterdir())
    assert stills
    assert {cv2.imread(str(still)).shape for still in stills} == {cv2.imread(str(tmp_path / "in/0000.png")).shape}


def test_part_of_a_film_is_told_by_the_film_s_own_numbers(tmp_path, run, system, kept, shots, picture):
    shots(tmp_path / "in")
    picture(tmp_path / "ref.png")
    assert run("source=in", "reference=ref.png", "output=out.mp4", "frames=8:30", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert (page.data["start"], page.data["errors"]) == (8, means(kept))
    assert "frames 8 to 29" in page.said
    assert all(8 <= int(path.stem) < 30 for path in (tmp_path / "out.stills").iterdir())


def test_shots_that_keep_their_colour_are_no_moments_and_get_no_still(tmp_path, run, system, kept, shots):
    for path in sorted(shots(tmp_path / "in").iterdir())[:20]:
        frame = cv2.imread(str(path))
        frame[:, :48, 0] //= 3
        frame[:, 48:, 2] //= 3
        cv2.imwrite(str(path), frame)
    assert run("source=in", "reference=first", "output=out.mp4", "keep_colour=true", "report=true")[0] == 0
    page = Page(tmp_path / "out.report.html")
    assert page.data["errors"][:20] == [0.0] * 20
    assert min(page.data["errors"][20:]) > 0
    assert "keeps its own colour" in page.said
    assert all(int(n) >= 20 for n in re.findall(r"[1-6]: frame ([0-9]+)", page.said))
    assert all(int(path.stem) >= 20 for path in (tmp_path / "out.stills").glob("*"))


def test_nothing_is_written_where_none_is_asked_for(tmp_path, run, system, film_file, picture):
    film_file(tmp_path / "in.mp4")
    picture(tmp_path / "ref.png")
    code, out, _ = run("source=in.mp4", "reference=ref.png", "output=out.mp4", "report=false")
    assert (code, out.count("\n")) == (0, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "ref.png"]


@pytest.mark.parametrize(
    ("output", "page"), [("a.v2.mp4", "a.v2"), ("out", "out"), ("deep/out.v2/", "deep/out.v2"), ("F.MKV", "F")]
)
def test_the_page_and_the_stills_lie_beside_the_film(output: str, page: str) -> None:
    assert places(output) == (Path(f"{page}.report.html"), Path(f"{page}.stills"))


def test_errors_that_are_told_keep_the_order_of_those_that_weigh() -> None:
    weighed = torch.linspace(0.3, 90, 200)
    shown = Estimate(torch.zeros(200, 2), weighed).told().error
    assert (shown.diff() > 0).all()
    assert float(shown.max()) < 19
    assert float(shown[0]) == pytest.approx(SCALE * 0.3, rel=0.05)


def test_a_film_coloured_as_typed_is_told_of(tmp_path, shots) -> None:
    shots(tmp_path / "my film", (7, 6))
    frame = cv2.imread(str(tmp_path / "my film/0000.png"))
    frame[:, :48, 0] //= 2
    frame[:, 48:, 2] //= 2
    cv2.imwrite(str(tmp_path / "my film/0000.png"), frame)
    line = [sys.executable, "-m", "flowchroma.colorize", "source=my film", "output=made/film.mp4", "size=32"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*line, "device=cpu"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "what it was unsure of: made/film.report.html"
    page = Page(tmp_path / "made/film.report.html")
    assert len(page.data["errors"]) == 13
    assert page.data["errors"][0] == min(page.data["errors"])
    stills = {path.name for path in (tmp_path / "made/film.stills").glob("*")}
    assert stills == set(re.findall(r"[0-9]{6}\.png", page.said))
    assert {path.name for path in (tmp_path / "made").iterdir()} <= {"film.mp4", "film.report.html", "film.stills"}
