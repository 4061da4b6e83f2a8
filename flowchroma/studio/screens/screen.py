"""What the screens have in common."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from flowchroma.errors import user_error_behind
from flowchroma.studio.html import fragment
from flowchroma.studio.studio import Studio

Refresh = Callable[[Any], None]  # given an event, has the page shown anew after it
QUIET = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
HEAVY = {"concurrency_id": "heavy", "concurrency_limit": 1, "api_visibility": "private"}  # one at a time, of all tabs


class Screen:
    """A part of the page.

    Args:
        studio: What it works with.
        refresh: See `Refresh`.
        chosen: The state of the frame that a tab has chosen among the stills.
    """

    parts: Sequence[Any]  # components that `show` gives values of

    def __init__(self, studio: Studio, refresh: Refresh, chosen: Any) -> None:
        raise NotImplementedError

    def show(self, chosen: int | None) -> Sequence[Any]:
        """What lies in the project, as values of the parts."""
        raise NotImplementedError


def title(number: int, name: str, lead: str) -> str:
    """A screen's heading, to which the page's list of screens leads."""
    return fragment("title", number, name, lead)


def said(text: str) -> str:
    """A line on what is or was done."""
    return fragment("said", text)


def not_yet(missing: str) -> str:
    """A line on what must be done before."""
    return said(f"{missing[:1].upper()}{missing[1:]}.")


def wrong(text: str) -> str:
    """A line on what was not done, and what to do."""
    return fragment("wrong", text)


def tells(act: Callable[..., Any], rest: Sequence[Any] = ()) -> Callable[..., Any]:
    """An action of which the first value is a line; where it raises a `UserError`, that is the line.

    Args:
        act: The action.
        rest: What its other values are then.
    """

    @wraps(act)
    def told(*values: Any) -> Any:
        try:
            return act(*values)
        except Exception as error:
            known = user_error_behind(error)
            if known is None:
                raise
            line = wrong(str(known))
            return (line, *rest) if rest else line

    return told
