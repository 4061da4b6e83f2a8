"""A table of a page, from an evaluation's report.

    python benchmarks/table.py outputs/table/report.json experiments/README.md [NAME [METHOD,METHOD]]

What stands between the page's markers, <!-- NAME --> and <!-- end of NAME -->, is replaced; NAME is "table" by default.
Methods are all of the report's, or those named.
"""

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

COLUMNS = {
    "PSNR, dB": ("psnr", 1, 2),
    "SSIM": ("ssim", 1, 4),
    "LPIPS alex": ("lpips_alex", 1, 4),
    "CDC distance x 1000": ("cdc_distance", 1000, 3),
    "warp error x 1000": ("warp_error", 1000, 3),
    "colourfulness ratio": ("colorfulness_ratio", 1, 3),
}


def table(report: dict[str, Any], methods: Collection[str]) -> str:
    """A row a method, the best last, in Markdown. Times are left to the report: they need an idle machine."""
    about = report["protocol"].get("about", {})
    lines = [
        "| " + " | ".join(("method", "parameters", *COLUMNS)) + " |",
        "|---" * (2 + len(COLUMNS)) + "|",
    ]
    for name, scores in sorted(report["methods"].items(), key=lambda row: float(row[1]["mean"]["psnr"])):
        if methods and name not in methods:
            continue
        parameters = about.get(name, {}).get("parameters")
        cells = [name, f"{parameters:,}" if parameters else ""]
        for key, scale, digits in COLUMNS.values():
            value = scores["mean"].get(key)
            cells.append("" if value is None else f"{scale * float(value):.{digits}f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def put(page: Path, name: str, made: str) -> None:
    """Replace what stands between a page's markers of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{page} has no lines {begin} and {end}")
    page.write_text(f"{before}{begin}\n{made}\n{end}{after}")


def main() -> None:
    """Replace the table."""
    report, page = (Path(argument) for argument in sys.argv[1:3])
    name = sys.argv[3] if len(sys.argv) > 3 else "table"
    methods = sys.argv[4].split(",") if len(sys.argv) > 4 else ()
    made = table(json.loads(report.read_text()), methods)
    put(page, name, made)
    print(made)


if __name__ == "__main__":
    main()
