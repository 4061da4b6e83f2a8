import base64
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from flowchroma.runs import find_runs, write_page, write_table
from flowchroma.runs.panels import panel_strips
from flowchroma.runs.table import print_table

EVIL = "<script>alert('x')</script>"


def page_of(paths: list[Path], tmp_path: Path, **options) -> tuple[str, dict]:
    out = tmp_path / "page.html"
    write_page(find_runs(paths).runs, out, **options)
    text = out.read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    return re.sub(r"<script>.*?</script>|<style>.*?</style>", "", text, flags=re.S), data


def test_the_page_holds_every_run_and_says_which_did_not_finish(make_run, tmp_path: Path):
    failed = make_run("dead", None)
    (failed / "error.txt").write_text(f"no {EVIL}\n")
    paths = [make_run("a0", 30.0), make_run("a1", 30.5, seed=1), failed, make_run("cut", None, seed=4)]
    text, data = page_of(paths, tmp_path, refused=[f"{EVIL}: no run"])
    assert "alert(" not in re.sub(r"&lt;script&gt;alert\(", "", text)
    assert "failed: no &lt;script&gt;" in text
    assert "unfinished: at step 39 of 40" in text
    assert f"{EVIL.replace('<', '&lt;').replace('>', '&gt;').replace(chr(39), '&#39;')}: no run" in text
    assert [len(scores["values"]) for scores in data["scores"]] == [2]
    assert {series["run"] for series in data["curves"]["val/psnr"]} == {"a0", "a1", "dead", "cut"}
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_the_best_is_bold_the_second_underlined_and_what_did_not_finish_neither(make_run, tmp_path: Path):
    text, _ = page_of([make_run("a", 30.0), make_run("b", 31.0, seed=1), make_run("c", None, seed=2)], tmp_path)
    assert "<b>31.000</b>" in text
    assert "<u>30.000</u>" in text
    assert "25.000*" in text


def test_long_curves_are_thinned_to_means(make_run, tmp_path: Path):
    path = make_run("a")
    lines = [f"{step},{step % 2}" for step in range(1, 5001)]
    (path / "metrics.csv").write_text("\n".join(["step,train/loss", *lines]))
    _, data = page_of([path], tmp_path)
    (series,) = data["curves"]["train/loss"]
    assert len(series["x"]) == len(series["y"]) <= 600
    assert series["x"][-1] == 5000
    assert sum(series["y"]) / len(series["y"]) == pytest.approx(0.5, abs=0.03)


def test_runs_that_reached_nothing_make_a_page(make_run, tmp_path: Path):
    path = make_run("a", None)
    (path / "metrics.csv").unlink()
    text, data = page_of([path], tmp_path)
    assert data["curves"] == {}
    assert "no step logged yet" in text


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).convert("RGB")


def test_stills_of_one_clip_stand_side_by_side_cut_out_of_their_panels(make_run, write_panel):
    a, b = make_run("a"), make_run("b", seed=1)
    write_panel(b / "panels" / "0000040.png", ["gray", "hold", "UNetFusion", "truth", "similarity"], "bear 0..7")
    other = make_run("c", seed=2)
    write_panel(other / "panels" / "0000040.png", ["gray", "hold", "UNetFusion", "truth"], "swan 0..7")
    bear, swan = panel_strips(find_runs([a, b, other]).runs)
    assert (bear.clip, swan.clip) == ("bear 0..7", "swan 0..7")
    assert bear.rows == ["coloured", "error", "similarity"]  # the first colour held is the same in both
    assert [(i, step) for i, step, _ in bear.columns] == [(0, 40), (1, 40)]
    assert bear.columns[0][2][2] is None  # a run without that map
    for uri, index in ((bear.columns[0][2][0], 2), (bear.truth, 3)):
        picture = opened(uri)
        assert picture.size == (8, 8)
        assert picture.getpixel((4, 4)) == pytest.approx((40 * index, 20, 200), abs=6)


def test_a_panel_without_a_caption_is_shown_whole_and_a_damaged_one_not_at_all(make_run):
    plain, damaged = make_run("a"), make_run("b", seed=1)
    Image.new("RGB", (42, 12)).save(plain / "panels" / "0000040.png")
    (damaged / "panels" / "0000040.png").write_bytes(b"\x89PNG cut off")
    (strip,) = panel_strips(find_runs([plain, damaged]).runs)
    assert (strip.clip, strip.truth, strip.rows) == ("", "", ["panel"])
    assert len(strip.columns) == 1


def test_the_table_in_a_file_has_everything_in_order(make_run, tmp_path: Path):
    import csv

    lr = {"optimizer": {"lr": 0.01}}
    runs = find_runs([make_run("a", 30.0), make_run("cut", None, seed=1), make_run("b", 31.0, changes=lr)]).runs
    write_table(runs, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["b", "a", "cut"]
    assert [row["state"] for row in rows] == ["finished", "finished", "unfinished"]
    assert [row["optimizer.lr"] for row in rows] == ["0.01", "0.001", "0.001"]
    assert [row["val/psnr"] for row in rows] == ["31.0", "30.0", "25.0"]
    assert rows[0]["commit"] == "a" * 40 + " and changes"


@pytest.mark.parametrize("width", [25, 80, 200])
def test_the_table_in_a_terminal_always_has_the_figure_that_counts(make_run, width: int):
    from rich.console import Console

    console = Console(width=width, file=io.StringIO())
    print_table(find_runs([make_run("a", 30.0), make_run("b", 31.0, seed=1)]).runs, console=console)
    shown = console.file.getvalue()
    assert "31.000" in shown
    assert shown.index("31.000") < shown.index("30.000")
    assert ("psnr_hold" in shown) == (width > 25)
