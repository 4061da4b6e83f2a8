"""Parts of the page that are plain HTML, from the macros of fragments.html.j2."""

from functools import cache
from pathlib import Path
from typing import Any


def fragment(name: str, *values: Any) -> str:
    """A macro's text, with all values escaped."""
    return str(getattr(_macros(), name)(*values))


@cache
def _macros() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("fragments.html.j2").module
