"""The table of experiments/README.md, from an evaluation's report.

    python benchmarks/table.py outputs/table/report.json experiments/README.md

What stands between the file's two markers is replaced.
"""

import json
import sys
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- table -->", "<!-- end of table -->"
COLUMNS = {
    "PSNR, dB": ("psnr", 1, 2),
    "SSIM": ("ssim", 1, 4),
    "LPIPS alex": ("lpips_alex", 1, 4),
    "CDC distance x 1000": ("cdc_distance", 1000, 3),
    "warp error x 1000": ("warp_error", 1000, 3),
    "colourfulness ratio": ("colorfulness_ratio", 1, 3),
}


def table(report: dict[str, Any]) -> str:
    """A row a method, the best last, in markdown. Times are left to the report: they need an idle machine."""
    about = report["protocol"].get("about", {})
    lines = [
        "| " + " | ".join(("method", "parameters", *COLUMNS)) + " |",
        "|---" * (2 + len(COLUMNS)) + "|",
    ]
    for name, scores in sorted(report["methods"].items(), key=lambda row: float(row[1]["mean"]["psnr"])):
        parameters = about.get(name, {}).get("parameters")
        cells = [name, f"{parameters:,}" if parameters else ""]
        for key, scale, digits in COLUMNS.values():
            value = scores["mean"].get(key)
            cells.append("" if value is None else f"{scale * float(value):.{digits}f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Replace the table."""
    report, page = (Path(argument) for argument in sys.argv[1:3])
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    made = table(json.loads(report.read_text()))
    page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")
    print(made)


if __name__ == "__main__":
    main()
