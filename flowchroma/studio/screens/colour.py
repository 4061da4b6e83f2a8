"""Colouring: how far it is, and holding, ending and going on with it."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from flowchroma.studio.html import fragment
from flowchroma.studio.previews import SIZES
from flowchroma.studio.screens.screen import HEAVY, QUIET, Refresh, Screen, not_yet, said, tells, title
from flowchroma.studio.studio import Studio

_LEAD = (
    "The whole film. Close the page if you like: it goes on as long as the studio is open, and what is done is kept."
)
_NAMES = {size: name for name, size in SIZES.items()}


class ColourScreen(Screen):
    """See `Screen`."""

    def __init__(self, studio: Studio, refresh: Refresh, chosen: Any) -> None:
        self._studio = studio
        gr.HTML(title(4, "Colour", _LEAD))
        with gr.Row():
            quality = gr.Radio([*SIZES], value="full", label="Quality", elem_id="colour-quality")
            self._start = gr.Button("Colour the film", variant="primary", elem_id="colour-start")
            self._pause = gr.Button("Pause", elem_id="colour-pause")
            self._cancel = gr.Button("Cancel", elem_id="colour-cancel")
        line = gr.HTML(said(""), elem_id="colour-line", elem_classes="line")
        self._shots = gr.HTML(elem_id="colour-shots")
        self.parts = [quality, self._start, self._pause, self._cancel, self._shots]
        refresh(self._start.click(tells(self._begin), quality, line, **HEAVY))
        refresh(self._pause.click(tells(self._hold), None, line, **QUIET))
        refresh(self._cancel.click(tells(self._end), None, line, **QUIET))

    def show(self, chosen: int | None) -> Sequence[Any]:
        """See `Screen`."""
        status = self._studio.jobs.status
        colours, missing = status.kind == "colorize", self._studio.colours.missing
        paused = colours and status.state == "paused"
        begun = self._studio.colours.frames > 0 and status.state != "done"
        quality = _NAMES.get(self._studio.colours.size or 0) if status.active else None
        name = "Go on" if status.state == "paused" or begun else "Colour the film"
        return [
            gr.update(value=quality) if quality else gr.skip(),
            gr.update(value=name, interactive=not missing and (not status.active or paused)),
            gr.update(interactive=colours and status.state == "running"),
            gr.update(interactive=colours and status.active),
            (not_yet(missing) if missing else "") + self._table(),
        ]

    def _begin(self, quality: str) -> str:
        if self._studio.jobs.status.state == "paused":
            self._studio.jobs.go_on()
            return said("Going on.")
        size, before = SIZES[quality], self._studio.colours.size
        self._studio.colour(size)
        if before is not None and before != size and self._studio.colours.frames:
            return said(f"Colouring anew: what was done in {_NAMES.get(before, 'another')} quality is replaced.")
        gray = sum(not still.coloured for still in self._studio.stills.all())
        return said(f"{gray} of the stills are gray still: their shots take colours from the others." if gray else "")

    def _hold(self) -> str:
        self._studio.jobs.pause()
        return said("Paused: nothing is lost.")

    def _end(self) -> str:
        self._studio.jobs.cancel()
        return said("Cancelled: what is done is kept, and the film goes on from there when you like.")

    def _table(self) -> str:
        plan, colours = self._studio.project.plan, self._studio.colours
        if plan is None:
            return ""
        assignments = colours.known()
        done = colours.done(assignments) if assignments else [0] * len(plan.shots)
        rows = []
        for at, (shot, frames) in enumerate(zip(plan.shots, done, strict=True), 1):
            length, stills = shot.stop - shot.start, ", ".join(map(str, shot.stills))
            others = ", ".join(path.name for path in shot.references)
            named = f"still{'s' if len(shot.stills) > 1 else ''} {stills}"
            from_stills = named if stills else "its own colours" if shot.keep_colour else ""
            rows.append(
                {
                    "shot": at,
                    "frames": f"{shot.start} to {shot.stop - 1}",
                    "stills": "; ".join(filter(None, (from_stills, others))) or "what resembles it most",
                    "state": "done" if frames == length else f"{frames} of {length} frames done" if frames else "to do",
                }
            )
        return fragment("shots", rows)
