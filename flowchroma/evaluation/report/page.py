"""The report for people: one page that needs nothing but itself."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowchroma.errors import UserError
from flowchroma.evaluation.report.charts import chart_data, styles
from flowchroma.evaluation.report.contents import Report, Still
from flowchroma.evaluation.report.files import plain, write_whole
from flowchroma.evaluation.report.ranking import rank
from flowchroma.evaluation.report.verdict import verdict

_ROOM = Path(__file__).parent
_ESSENTIAL = ("set", "clips", "reference", "size")
_ELSEWHERE = ("absent", "error maps", "problems")  # said beside the table, the stills, and at the top
_ARROWS = {"higher": "↑", "lower": "↓", "closest to 1": "→1", "none": ""}


def write_html(report: Report, path: Path) -> None:
    """Write the page: who is best, on which clips, at which frames, what it looks like, and the protocol.

    Args:
        report: The evaluation.
        path: Replaced at once when everything is written.

    Raises:
        UserError: A still cannot be read.
        ValueError: A measure is not one of `measures.MEASURES`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(_ROOM), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}  # and in the order given
    table = rank(report)
    data = chart_data(report, table)
    protocol = plain(report.protocol)
    page = environment.get_template("page.html.j2").render(
        table=table,
        notes={key: i for i, key in enumerate(table.notes, start=1)},
        verdict=verdict(report, table),
        arrows=_ARROWS,
        looks=styles(report),
        data=data,
        essentials={key: protocol[key] for key in _ESSENTIAL if key in protocol},
        protocol={key: value for key, value in protocol.items() if key not in _ELSEWHERE},
        problems=protocol.get("problems") or [],
        error_maps=protocol.get("error maps"),
        about={name: plain(scores.about) for name, scores in report.methods.items() if scores.about},
        stills=_stills(report.stills, [row.method for row in table.rows]),
        style=Markup((_ROOM / "page.css").read_text(encoding="utf-8")),
        script=Markup((_ROOM / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()) if data["byClip"] or data["byFrame"] else "",
    )
    write_whole(path, page)


def _stills(stills: Sequence[Still], methods: Sequence[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The stills clip by clip, their pictures as data URIs, None where a method lacks one."""
    clips = dict.fromkeys(still.clip for still in stills)
    return [(clip, [_strip(still, methods) for still in stills if still.clip == clip]) for clip in clips]


def _strip(still: Still, methods: Sequence[str]) -> dict[str, Any]:
    def columns(pictures: Mapping[str, Path]) -> list[str | None]:
        return [_data_uri(pictures[name]) if name in pictures else None for name in methods]

    pairs = zip(methods, columns(still.predictions), columns(still.errors), strict=True)
    return {
        "frame": still.frame,
        "truth": _data_uri(still.truth),
        "columns": [{"method": name, "image": image, "error": error} for name, image, error in pairs],
    }


@lru_cache(maxsize=1)
def _suffixes() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()  # the library's own table, whatever the machine's says


def _data_uri(path: Path) -> str:
    kind = _suffixes().guess_type(path.name)[0]
    if kind not in ("image/jpeg", "image/png", "image/webp"):
        raise UserError(f"{path}: a still is a JPEG or PNG file: remove it, and evaluate again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the still cannot be read ({error.strerror}): evaluate again") from error
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
