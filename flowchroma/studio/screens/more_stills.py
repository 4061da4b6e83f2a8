"""Frames that are added to the stills by hand, and pictures of something else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from flowchroma.studio.html import fragment
from flowchroma.studio.maps import shrunk
from flowchroma.studio.screens.screen import HEAVY, QUIET, Refresh, Screen, said, tells
from flowchroma.studio.screens.stills import PICTURES
from flowchroma.studio.studio import Studio

_LONG = 960  # pixels of a frame on the page


class MoreStills(Screen):
    """See `Screen`; it is the end of the stills'."""

    def __init__(self, studio: Studio, refresh: Refresh, chosen: Any) -> None:
        self._studio = studio
        with gr.Column(elem_id="more") as more:
            line = gr.HTML(said(""), elem_id="more-line", elem_classes="line")
            with gr.Accordion("Add a frame to the stills", open=True, elem_id="add"), gr.Row():
                scrubbed = gr.Image(label="The frame", interactive=False, height=260, buttons=[], elem_id="add-picture")
                with gr.Column():
                    self._frame = gr.Slider(0, 1, 0, step=1, label="Frame", elem_id="add-frame")
                    add = gr.Button("Add this frame", elem_id="add-add")
            with gr.Accordion("Use a picture of something else", open=True, elem_id="other"), gr.Row():
                drop = gr.File(label="Drop a coloured picture that shows the same things", file_types=PICTURES,
                               height=150, elem_id="other-drop")  # fmt: skip
                with gr.Column():
                    self._shots = gr.CheckboxGroup([], label="For these shots (none: all)", elem_id="other-shots")
                    self._listed = gr.HTML(elem_id="other-list")
        self.parts = [more, self._frame, self._shots, self._listed]
        act = tells(self._add, (gr.skip(),))
        refresh(add.click(act, self._frame, [line, chosen], trigger_mode="always_last", **HEAVY))
        refresh(drop.upload(tells(self._refer, (None,)), [drop, self._shots], [line, drop], **HEAVY))
        self._frame.change(self._scrub, self._frame, scrubbed, trigger_mode="always_last", **QUIET)

    def show(self, chosen: int | None) -> Sequence[Any]:
        """See `Screen`."""
        plan = self._studio.project.plan
        if plan is None:
            return [gr.update(visible="hidden"), *(gr.skip() for _ in self.parts[1:])]
        used = {path: [at for at, shot in enumerate(plan.shots, 1) if path in shot.references] for path in plan.others}
        lines = [f"{path.name}: for shot {', '.join(map(str, shots))}" for path, shots in used.items()]
        return [
            gr.update(visible=True),
            gr.update(maximum=plan.film.frames - 1),
            gr.update(choices=[f"shot {at}" for at in range(1, len(plan.shots) + 1)]),
            fragment("lines", lines or ["There is none yet."]),
        ]

    def _scrub(self, number: float) -> np.ndarray:
        return shrunk(self._studio.project.gray(int(number)), _LONG)

    def _add(self, number: float) -> tuple[str, int]:
        self._studio.stills.add([int(number)])
        return said(f"Frame {int(number)} is a still now: download it above, and colour it."), int(number)

    def _refer(self, file: str | None, names: Sequence[str]) -> tuple[str, None]:
        if file is None:
            return said(""), None
        shots = [int(name.removeprefix("shot ")) for name in names]
        return said(self._studio.stills.refer(Path(file), Path(file).name, shots)), None
