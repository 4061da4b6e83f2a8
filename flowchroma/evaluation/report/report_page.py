"""The report for people: one page that needs nothing but itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowchroma.evaluation.report.charts import chart_data, method_styles
from flowchroma.evaluation.report.contents import Report, Still
from flowchroma.evaluation.report.json_csv import plain
from flowchroma.evaluation.report.ranking import rank, ranking_summary
from flowchroma.files.atomic import write_atomically
from flowchroma.pages import data_uri, render

_FOLDER = Path(__file__).parent
_ESSENTIAL = ("set", "clips", "reference", "keyframes", "directions", "size")
_ELSEWHERE = ("absent", "error maps", "problems")  # said beside the table, the stills, and at the top
_ARROWS = {"higher": "↑", "lower": "↓", "closest to 1": "→1", "none": ""}


def write_html(report: Report, path: Path) -> None:
    """Write the page: who is best, on which clips, at which frames, what it looks like, and the protocol.

    A `UserError` where a still cannot be read, a `ValueError` for a measure that is not one of `measures.MEASURES`.
    """
    table = rank(report)
    data = chart_data(report, table)
    protocol = plain(report.protocol)
    page = render(
        _FOLDER / "page.html.j2",
        _FOLDER / "page.js",
        charts=bool(data["byClip"] or data["byFrame"]),
        table=table,
        notes={key: i for i, key in enumerate(table.notes, start=1)},
        headline=ranking_summary(report, table),
        arrows=_ARROWS,
        styles=method_styles(report),
        data=data,
        essentials={key: protocol[key] for key in _ESSENTIAL if key in protocol},
        protocol={key: value for key, value in protocol.items() if key not in _ELSEWHERE},
        problems=protocol.get("problems") or [],
        error_maps=protocol.get("error maps"),
        about={name: plain(scores.about) for name, scores in report.methods.items() if scores.about},
        stills=_stills(report.stills, [row.method for row in table.rows]),
    )
    write_atomically(path, page)


def _stills(stills: Sequence[Still], methods: Sequence[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The stills clip by clip, their pictures as data URIs, None where a method lacks one."""
    clips = dict.fromkeys(still.clip for still in stills)
    return [(clip, [_strip(still, methods) for still in stills if still.clip == clip]) for clip in clips]


def _strip(still: Still, methods: Sequence[str]) -> dict[str, Any]:
    def columns(pictures: Mapping[str, Path]) -> list[str | None]:
        return [data_uri(pictures[name]) if name in pictures else None for name in methods]

    pairs = zip(methods, columns(still.predictions), columns(still.errors), strict=True)
    return {
        "frame": still.frame,
        "truth": data_uri(still.truth),
        "columns": [{"method": name, "image": image, "error": error} for name, image, error in pairs],
    }
