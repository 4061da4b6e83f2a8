"""The report for machines: JSON and CSV, written whole or not at all."""

import csv
import io
import json
import math
import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowchroma.evaluation.measures import BY_KEY, known
from flowchroma.evaluation.report.contents import Report
from flowchroma.files.atomic import write_atomically


def write_json(report: Report, path: Path) -> None:
    """Write `{"protocol", "methods": {name: {"clips", "mean", "seconds_per_frame"}}}`, strictly valid JSON.

    Infinity is the string "inf", which `float` reads; what could not be had, or is not a number, is null. What is known
    about the methods stands in the protocol, under "about".
    """
    about = {name: scores.about for name, scores in report.methods.items() if scores.about}
    protocol = {**report.protocol, "about": about} if about else report.protocol
    kept = ("clips", "mean", "seconds_per_frame")
    methods = {name: {key: getattr(scores, key) for key in kept} for name, scores in report.methods.items()}
    text = json.dumps(plain({"protocol": protocol, "methods": methods}), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


def write_csv(report: Report, path: Path) -> None:
    """Write one row a method and clip, then the methods' means as rows of the clip "mean"; empty where absent."""
    keys = [*(key for key in BY_KEY if key in report.keys), *sorted(report.keys - set(BY_KEY))]
    text = io.StringIO()
    table = csv.DictWriter(text, ["method", "clip", *dict.fromkeys((*keys, "seconds_per_frame"))], lineterminator="\n")
    table.writeheader()
    for name, scores in report.methods.items():
        for clip, values in scores.clips.items():
            table.writerow({"method": name, "clip": clip, **_filled(values)})
    for name, scores in report.methods.items():
        mean = {"seconds_per_frame": scores.seconds_per_frame, **scores.mean}
        table.writerow({"method": name, "clip": "mean", **_filled(mean)})
    write_atomically(path, text.getvalue())


def plain(value: Any) -> Any:
    """The value in what strict JSON knows: mappings, lists, text, finite numbers, null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    try:
        number = float(value)  # also a scalar of NumPy or torch
    except (TypeError, ValueError):
        return str(value)
    if math.isfinite(number):
        return number
    return None if math.isnan(number) else str(number)


def _filled(values: Mapping[str, float | None]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if known(value)}
