"""The page: five screens from top to bottom, shown anew from the folder whenever something in it has changed."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from flowchroma.errors import UserError
from flowchroma.studio.html import fragment
from flowchroma.studio.screens.colour import ColourScreen
from flowchroma.studio.screens.film import FilmScreen
from flowchroma.studio.screens.more_stills import MoreStills
from flowchroma.studio.screens.preview import PreviewScreen
from flowchroma.studio.screens.progress import progress_of
from flowchroma.studio.screens.result import ResultScreen
from flowchroma.studio.screens.screen import QUIET, Screen, said, wrong
from flowchroma.studio.screens.stills import StillsScreen
from flowchroma.studio.studio import Studio

_EVERY = 1.0  # seconds from one look at the folder to the next
_FORGET = (3600, 86400)  # seconds: pictures that nobody has asked for since are deleted
# What an accordion holds is made when it is first opened, and shortly after set to the values of then, over what has
# been typed meanwhile. So they are open at first, and closed before the page is shown.
_READY = """async () => {
  for (const open of document.querySelectorAll(".gr-accordion > .label-wrap.open")) open.click();
  await new Promise((done) => setTimeout(done));  // they are closed by then
  document.body.classList.add("ready");
}"""
_SCREENS: dict[str, Sequence[type[Screen]]] = {
    "Film": [FilmScreen],
    "Stills": [StillsScreen, MoreStills],
    "Preview": [PreviewScreen],
    "Colour": [ColourScreen],
    "Result": [ResultScreen],
}


def build(studio: Studio) -> gr.Blocks:
    """The page of a studio."""
    events: list[Any] = []
    with gr.Blocks(title="FlowChroma studio", analytics_enabled=False, delete_cache=_FORGET) as page:
        gr.HTML(fragment("top", [*_SCREENS]), elem_id="top")
        seen, chosen, trouble = gr.State(""), gr.State(None), gr.HTML(elem_id="trouble")
        jobs, made = list[Any](), list[Screen]()
        for name, kinds in _SCREENS.items():
            with gr.Column(elem_classes="screen", elem_id=f"screen-{name.lower()}"):
                made += [kind(studio, events.append, chosen) for kind in kinds]
                if name in ("Film", "Colour"):
                    jobs.append(gr.HTML(elem_id=f"job-{name.lower()}", elem_classes="job-line"))
        _keep_shown(page, studio, made, [seen, chosen, trouble, *jobs], events)
    return page


def _keep_shown(page: gr.Blocks, studio: Studio, made: Sequence[Screen], own: Sequence[Any], events: list[Any]) -> None:
    """Show what lies in the folder when the page is opened, after each event, and when something else changes it."""
    seen, chosen, trouble, *jobs = own

    def how_far() -> list[str]:
        status = studio.jobs.status
        return [
            progress_of(status, "plan"),
            progress_of(status, "colorize", studio.shots_done if status.active else ""),
        ]

    def state(at: int | None) -> str:
        return f"{at} {studio.project.version}"

    def shown(at: int | None) -> list[Any]:
        now, values, line = state(at), list[Any](), said("")
        for screen in made:
            try:
                values += screen.show(at)
            except UserError as error:  # the folder was edited by hand, or the film has moved
                values += [gr.skip() for _ in screen.parts]
                line = wrong(str(error))
        return [now, line, *how_far(), *values]

    def looked(before: str, at: int | None) -> list[Any]:
        if state(at) != before:
            return shown(at)
        told = how_far() if studio.jobs.status.active else [gr.skip() for _ in jobs]
        return [gr.skip(), gr.skip(), *told, *(gr.skip() for screen in made for _ in screen.parts)]

    outputs = [seen, trouble, *jobs, *(part for screen in made for part in screen.parts)]
    page.load(shown, chosen, outputs, **QUIET).then(None, js=_READY)
    gr.Timer(_EVERY).tick(looked, [seen, chosen], outputs, **QUIET)
    for event in events:
        event.then(shown, chosen, outputs, **QUIET)
