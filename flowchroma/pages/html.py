"""From a template and its figures to one file."""

import base64
from pathlib import Path
from typing import Any

from flowchroma.errors import UserError

_FOLDER = Path(__file__).parent
_KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}


def render(template: Path, script: Path, charts: bool, **context: Any) -> str:
    """A page: base.html.j2 filled by a template that extends it, with base.css and base.js inside.

    Args:
        template: extends "base.html.j2", and may use what "macros.html.j2" has.
        script: of the page itself; runs after base.js and plotly.
        charts: whether it draws any: plotly is 5 MB.
        context: what the template names; `data` is what the scripts read, as plain values.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([template.parent, _FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}  # and in the order given
    return environment.get_template(template.name).render(
        style=Markup((_FOLDER / "base.css").read_text(encoding="utf-8")),
        base=Markup((_FOLDER / "base.js").read_text(encoding="utf-8")),
        script=Markup(script.read_text(encoding="utf-8")),
        plotly=Markup(_plotly()) if charts else "",
        **context,
    )


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def data_uri(path: Path) -> str:
    """A picture as text that stands in the page itself; a `UserError` where it is no JPEG, PNG or WebP file."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: a still is a JPEG or PNG file: remove it, and evaluate again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the still cannot be read ({error.strerror}): evaluate again") from error
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
