"""How far a job is, as a bar and in words."""

from flowchroma.studio.film_facts import clock
from flowchroma.studio.html import fragment
from flowchroma.studio.jobs import NAMES, Kind, Status
from flowchroma.studio.screens.screen import wrong

_CANCELLED = "Cancelled. What is done is kept, and it goes on from there."


def progress_of(status: Status, kind: Kind, shots: str = "") -> str:
    """What there is to say of a job of this kind.

    Args:
        status: Of the last job, of whatever kind.
        kind: The one that is asked for.
        shots: What is done of the shots, in words.
    """
    if status.kind != kind:
        return fragment("job", "", False, 0, 0, "", [])
    if status.state == "failed":
        return wrong(status.line)
    if not status.active:
        words = f"Done: {status.line}." if status.state == "done" else _CANCELLED
        return fragment("job", "", False, 0, 0, words, status.notes)
    held, at = ("Paused. " if status.state == "paused" else ""), status.progress
    if at is None:
        return fragment("job", NAMES[kind], True, 0, 0, f"{held}Getting ready: {NAMES[kind]}.", status.notes)
    words = f"{held}{at.what.capitalize()}: {at.done / max(1, at.total):.0%}"
    if status.state == "running" and at.left is not None:
        words += f", {at.rate:.1f} frames a second, {clock(at.left)} left"
    return fragment("job", NAMES[kind], True, at.done, at.total, f"{words}. {shots}".strip(), status.notes)
