"""The preview: one frame at once, where its colours come from, and how sure they are."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from flowchroma.studio.maps import maps, shrunk
from flowchroma.studio.previews import SIZES, Preview
from flowchroma.studio.screens.screen import HEAVY, QUIET, Refresh, Screen, not_yet, said, tells, title
from flowchroma.studio.studio import Studio

_LEAD = (
    "One frame at once, matched with the stills of its shot. Colouring the film carries colours along from frame to"
    " frame as well: most frames come out better than here."
)
_LONG = 1280  # pixels of a picture on the page


class PreviewScreen(Screen):
    """See `Screen`."""

    def __init__(self, studio: Studio, refresh: Refresh, chosen: Any) -> None:
        self._studio = studio
        gr.HTML(title(3, "Preview", _LEAD))
        with gr.Row():
            frame = gr.Slider(0, 1, 0, step=1, label="Frame", elem_id="preview-frame", scale=4)
            quality = gr.Radio([*SIZES], value="quick", label="Quality", elem_id="preview-quality", scale=2)
            go = gr.Button("Preview this frame", variant="primary", elem_id="preview-go", scale=1, min_width=230)
        missing = gr.HTML(elem_id="preview-missing")
        line = gr.HTML(said(""), elem_id="preview-line", elem_classes="line")
        both = gr.ImageSlider(label="Gray and coloured", interactive=False, elem_id="preview-both", buttons=[],
                              max_height=520)  # fmt: skip
        told = gr.HTML(elem_id="preview-maps")
        self.parts = [frame, go, missing]
        asked = gr.on([go.click, frame.release], self._announce, None, line, trigger_mode="multiple", **QUIET)
        act = tells(self._preview, (gr.skip(), gr.skip()))
        outputs = [line, both, told]
        asked.then(act, [frame, quality], outputs, trigger_mode="always_last", show_progress_on=[both], **HEAVY)

    def show(self, chosen: int | None) -> Sequence[Any]:
        """See `Screen`."""
        plan, missing = self._studio.project.plan, self._studio.colours.missing
        return [
            gr.update(maximum=plan.film.frames - 1 if plan else 1),
            gr.update(interactive=not missing),
            gr.update(value=not_yet(missing), visible=bool(missing)),
        ]

    def _announce(self) -> str:
        waits = "Waiting: what was asked for before is computed first …"
        return said(waits if self._studio.is_busy else "Computing the preview …")

    def _preview(self, number: float, quality: str) -> tuple[str, Any, str]:
        with self._studio.turn():
            made = self._studio.preview(int(number), SIZES[quality])
        return said(_words(made)), (shrunk(made.gray, _LONG), shrunk(made.coloured, _LONG)), maps(made)


def _words(made: Preview) -> str:
    if made.finished:
        return f"Frame {made.frame} is finished: this is how it was coloured. The maps below are of matching alone."
    if made.given:
        return f"Frame {made.frame} is a still: its colours are its own."
    return f"Frame {made.frame}, by matching alone."
