import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from flowchroma.evaluation.report import MethodScores, Report, write_csv, write_json
from flowchroma.files.atomic import write_atomically

NAN, INF = math.nan, math.inf


def strict(path):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture
def report():
    dis = MethodScores(
        clips={"bear": {"psnr": 31.25, "lpips_vgg": None}, "camel, ü": {"psnr": INF, "lpips_vgg": None}},
        mean={"psnr": INF, "lpips_vgg": None, "fid": 12.5},
        seconds_per_frame=0.014,
        frames={"bear": {"frame": [1], "psnr": [31.25]}},
    )
    given = MethodScores(clips={"bear": {"psnr": NAN}}, mean={"psnr": NAN})
    protocol = {"set": "davis30", "frames": np.int64(2), "absent": {"lpips_vgg": "no weights"}, "sizes": (240, 432)}
    return Report(protocol, {"dis": dis, "given": given})


def test_json_is_laid_out_as_promised(report, tmp_path):
    write_json(report, tmp_path / "deep" / "report.json")
    assert strict(tmp_path / "deep" / "report.json") == {
        "protocol": {
            "set": "davis30",
            "frames": 2,
            "absent": {"lpips_vgg": "no weights"},
            "sizes": [240, 432],
        },
        "methods": {
            "dis": {
                "clips": {
                    "bear": {"psnr": 31.25, "lpips_vgg": None},
                    "camel, ü": {"psnr": "inf", "lpips_vgg": None},
                },
                "mean": {"psnr": "inf", "lpips_vgg": None, "fid": 12.5},
                "seconds_per_frame": 0.014,
            },
            "given": {"clips": {"bear": {"psnr": None}}, "mean": {"psnr": None}, "seconds_per_frame": None},
        },
    }


def test_json_keeps_every_digit_and_what_is_known_of_methods(tmp_path):
    value = np.float32(1 / 3)
    scores = MethodScores({"a": {"psnr": value, "ssim": -INF}}, {"psnr": 1 / 3}, about={"checkpoint": tmp_path})
    write_json(Report({}, {"m": scores}), tmp_path / "report.json")
    read = strict(tmp_path / "report.json")
    assert read["methods"]["m"]["clips"]["a"] == {"psnr": float(value), "ssim": "-inf"}
    assert read["methods"]["m"]["mean"]["psnr"] == 1 / 3
    assert float(read["methods"]["m"]["clips"]["a"]["ssim"]) == -INF
    assert read["protocol"] == {"about": {"m": {"checkpoint": str(tmp_path)}}}


def test_csv_has_a_row_for_every_method_and_clip_and_then_the_means(report, tmp_path):
    write_csv(report, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["method", "clip", "psnr", "lpips_vgg", "fid", "seconds_per_frame"]
    assert [(row["method"], row["clip"]) for row in rows] == [
        ("dis", "bear"),
        ("dis", "camel, ü"),
        ("given", "bear"),
        ("dis", "mean"),
        ("given", "mean"),
    ]
    assert [row["psnr"] for row in rows] == ["31.25", "inf", "", "inf", ""]
    assert [row["fid"] for row in rows] == ["", "", "", "12.5", ""]
    assert rows[3]["seconds_per_frame"] == "0.014"


@pytest.mark.parametrize("write", [write_json, write_csv])
def test_a_report_that_fails_leaves_the_old_one_and_nothing_else(report, tmp_path, write, monkeypatch):
    path = tmp_path / "report"
    path.write_text("the last report")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="full"):
        write(report, path)
    assert [file.name for file in tmp_path.iterdir()] == ["report"]
    assert path.read_text() == "the last report"


def test_two_processes_may_write_the_report_at_once(tmp_path, monkeypatch):
    path, replace = tmp_path / "report.json", Path.replace

    def meanwhile(side, target):
        monkeypatch.setattr(Path, "replace", replace)
        write_atomically(path, "the other's")
        return replace(side, target)

    monkeypatch.setattr(Path, "replace", meanwhile)
    write_atomically(path, "ours")
    assert path.read_text() == "ours"
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]
