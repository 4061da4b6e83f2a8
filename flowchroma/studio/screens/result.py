"""The result: the film beside itself in gray, where it is unsure, and the stills that would help most."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from urllib.parse import quote

import gradio as gr

from flowchroma.errors import UserError
from flowchroma.studio.film_facts import clock, rate_of
from flowchroma.studio.html import fragment
from flowchroma.studio.project import stamp
from flowchroma.studio.result import Result, result_of
from flowchroma.studio.screens.screen import HEAVY, Refresh, Screen, said, tells, title
from flowchroma.studio.studio import Studio

_LEAD = "The film with its sound, beside the same moment in gray, and how far off its colours are expected to be."
_WIDTH, _HEIGHT = 1000, 150  # of the curve
_TO_STILLS = "() => { const there = document.getElementById('stills'); there.scrollIntoView(); there.focus(); }"


class ResultScreen(Screen):
    """See `Screen`."""

    def __init__(self, studio: Studio, refresh: Refresh, chosen: Any) -> None:
        self._studio = studio
        gr.HTML(title(5, "Result", _LEAD))
        player = gr.HTML(elem_id="result-player")
        helps = gr.HTML(elem_id="result-helps")
        take = gr.Button("Add them to the stills", elem_id="result-take", visible=False)
        line = gr.HTML(said(""), elem_id="result-line", elem_classes="line")
        self.parts = [player, helps, take]
        event = take.click(tells(self._take, (gr.skip(),)), None, [line, chosen], **HEAVY)
        refresh(event)
        event.then(None, js=_TO_STILLS)

    def show(self, chosen: int | None) -> Sequence[Any]:
        """See `Screen`."""
        found = result_of(self._studio.project, self._studio.colours)
        if found is None:
            return [said("The film is not coloured yet."), "", gr.update(visible=False)]
        rows = [f"Frame {n}: takes {gain:.2f} CIELAB units off the mean error." for n, gain in found.helps.items()]
        return [self._player(found), fragment("helps", rows), gr.update(visible=bool(found.helps))]

    def _take(self) -> tuple[str, int]:
        found = result_of(self._studio.project, self._studio.colours)
        if found is None or not found.helps:
            raise UserError("no still is proposed: colour the film first")
        self._studio.stills.add(sorted(found.helps))
        return said("They are stills now: colour them, and colour the film again."), min(found.helps)

    def _player(self, found: Result) -> str:
        output, film = self._studio.project.output, self._studio.project.film
        rate = rate_of(film)
        moments = [  # whole seconds that have passed, as players tell them
            {"seconds": f"{(n + 0.5) / rate:.4f}", "words": f"{clock(int(n / rate))}, frame {n}: {found.errors[n]:.1f}"}
            for n in found.worst
        ]
        told = {
            "current": found.current, "rate": rate, "frames": found.frames, "moments": moments, "name": output.name,
            "source": f"gradio_api/file={quote(str(output))}?{stamp(output)[0]}", "place": str(output),
            "width": film.size[1], "height": film.size[0], "report": output.with_suffix(".report.html").name,
            "mean": None if found.mean is None else f"{found.mean:.1f}", "chart": _chart(found),
        }  # fmt: skip
        return fragment("player", told)


def _chart(found: Result) -> dict[str, Any]:
    """Where everything is drawn, in pixels."""
    most = max([1.0, *(y for y in found.y if y is not None)])

    def x(number: float) -> float:
        return round((number + 0.5) / found.frames * _WIDTH, 1)

    points = [(x(n), y) for n, y in zip(found.x, found.y, strict=True)]
    runs = [list(run) for known, run in groupby(points, key=lambda point: point[1] is not None) if known]
    drawn = [
        " ".join(f"{at},{_HEIGHT - y / most * (_HEIGHT - 12):.1f}" for at, y in run if y is not None) for run in runs
    ]
    return {
        "width": _WIDTH, "height": _HEIGHT, "most": f"{most:.1f}", "lines": drawn,
        "shots": [x(start - 0.5) for start in found.shots[1:]], "stills": [x(n) for n in found.stills],
    }  # fmt: skip
