"""The stills: which frames to colour, and their pictures out and in."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from flowchroma.errors import UserError
from flowchroma.plans.plan_file import still_name
from flowchroma.studio.html import fragment
from flowchroma.studio.screens.screen import HEAVY, QUIET, Refresh, Screen, said, tells, title
from flowchroma.studio.stills import Still
from flowchroma.studio.studio import Studio
from flowchroma.studio.thumbnails import still_thumbnail

PICTURES = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"]
_LEAD = (
    "Colour these frames by hand in a program of your own, and drop them back: each shot takes its colours from them."
)
_LONG = 960  # pixels of the chosen still on the page


class StillsScreen(Screen):
    """See `Screen`."""

    def __init__(self, studio: Studio, refresh: Refresh, chosen: Any) -> None:
        self._studio = studio
        gr.HTML(title(2, "Stills", _LEAD))
        self._none = gr.HTML(said("There are no stills yet: find shots and stills first."), elem_id="stills-none")
        with gr.Column(elem_id="stills-there") as there:
            self._gallery = gr.Gallery(
                label="Choose a still", columns=6, height=214, allow_preview=False, fit_columns=False, buttons=[],
                elem_id="stills-gallery", elem_classes="strip",
            )  # fmt: skip
            line = gr.HTML(said(""), elem_id="stills-line", elem_classes="line")
            with gr.Row(elem_id="still"):
                self._picture = gr.Image(label="The still", interactive=False, height=330, buttons=[],
                                         elem_id="still-picture")  # fmt: skip
                with gr.Column():
                    self._words = gr.HTML(elem_id="still-words")
                    self._download = gr.DownloadButton("Download", elem_id="still-download")
                    self._drop = gr.File(label="Drop it here", file_types=PICTURES, height=150, elem_id="still-drop")
                    with gr.Row():
                        self._gray = gr.Button("Take its colour out", elem_id="still-gray")
                        leave = gr.Button("Leave this still out", elem_id="still-leave")
        self.parts = [
            self._none,
            there,
            self._gallery,
            self._picture,
            self._words,
            self._download,
            self._drop,
            self._gray,
        ]
        refresh(self._gallery.select(self._choose, None, chosen, **QUIET))
        drop, gray = self._drop, self._gray
        refresh(drop.upload(tells(self._accept, (None,)), [drop, chosen], [line, drop], **HEAVY))
        stills = studio.stills
        refresh(gray.click(self._changing(stills.uncolour, "Frame {} is gray again."), chosen, line, **HEAVY))
        refresh(leave.click(self._changing(stills.remove, "Frame {} is no still any more."), chosen, line, **HEAVY))

    def show(self, chosen: int | None) -> Sequence[Any]:
        """See `Screen`."""
        stills = [still for still in self._studio.stills.all() if still.path.exists()]
        still = _of(stills, chosen)
        small = [(str(still_thumbnail(self._studio.project, one.path)), _caption(one)) for one in stills]
        if still is None:
            return [gr.update(visible=True), gr.update(visible=False), *(gr.skip() for _ in self.parts[2:])]
        return [
            gr.update(visible=False),
            gr.update(visible=True),
            gr.update(value=small, selected_index=stills.index(still)),
            str(still_thumbnail(self._studio.project, still.path, _LONG)),
            _words(still),
            gr.update(value=str(still.path), label=f"Download {still_name(still.frame)}"),
            gr.update(label=f"Drop the coloured picture of frame {still.frame} here"),
            gr.update(interactive=still.coloured),
        ]

    def _choose(self, event: gr.SelectData) -> int:
        # Not by its place: another tab may have added a still before it.
        return int(re.findall("[0-9]+", event.value["caption"])[0])

    def _accept(self, file: str | None, chosen: int | None) -> tuple[str, None]:
        if file is None:
            return said(""), None
        dropped, stills = Path(file), self._studio.stills.all()
        numbered = dropped.stem.isascii() and dropped.stem.isdigit()
        still = _of([s for s in stills if s.frame == int(dropped.stem)] if numbered else [], None) or _of(
            stills, chosen
        )
        if still is None:
            raise UserError("there is no still yet: find shots and stills first, or add a frame")
        with self._studio.turn():
            return said(self._studio.stills.accept(still.frame, dropped, dropped.name)), None

    def _changing(self, act: Callable[[int], None], done: str) -> Callable[..., Any]:
        def changed(chosen: int | None) -> str:
            still = _of(self._studio.stills.all(), chosen)
            if still is None:
                raise UserError("there is no still: find shots and stills first, or add a frame")
            act(still.frame)
            return said(done.format(still.frame))

        return tells(changed)


def _of(stills: Sequence[Still], chosen: int | None) -> Still | None:
    """The still that is chosen, or else the first."""
    return next((still for still in stills if still.frame == chosen), stills[0] if stills else None)


def _caption(still: Still) -> str:
    gain = "" if still.gain is None or still.coloured else f", wins {max(0.0, still.gain):.2f}"
    return f"frame {still.frame}, shot {still.shot}: {'coloured' if still.coloured else 'gray'}{gain}"


def _words(still: Still) -> str:
    rows = [f"Frame {still.frame}, in shot {still.shot}."]
    if still.gain is not None:
        gain = f"{max(0.0, still.gain):.2f} CIELAB units"
        rows.append(f"Beside the other stills, it is expected to take {gain} off the film's mean error.")
    gray = "It is gray: download it, colour it, and drop it back."
    rows.append(f"It is coloured, and {still.words}." if still.coloured else still.words or gray)
    return fragment("lines", rows)
