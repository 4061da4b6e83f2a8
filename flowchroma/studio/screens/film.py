"""The film: which one, what it holds, what will be kept, and its shots."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from flowchroma.errors import UserError
from flowchroma.film import open_film
from flowchroma.studio.film_facts import facts_of
from flowchroma.studio.html import fragment
from flowchroma.studio.screens.screen import HEAVY, QUIET, Refresh, Screen, said, tells, title, wrong
from flowchroma.studio.studio import Studio
from flowchroma.studio.thumbnails import thumbnail

_LEAD = "Drop a film, or name its path on this machine. It is read, and never written to."
_SHOTS = 200  # shown as stills


class FilmScreen(Screen):
    """See `Screen`."""

    def __init__(self, studio: Studio, refresh: Refresh, chosen: Any) -> None:
        self._studio = studio
        gr.HTML(title(1, "Film", _LEAD))
        line = gr.HTML(said(""), elem_id="film-line", elem_classes="line")
        with gr.Row(elem_id="film-choice") as choice:
            drop = gr.File(label="Drop a film here", elem_id="film-drop", height=150)
            with gr.Column(visible=studio.is_local):
                path = gr.Textbox(label="Or its path", placeholder="/films/street.mp4", elem_id="film-path")
                use = gr.Button("Use this film", elem_id="film-use")
        facts = gr.HTML(elem_id="film-facts")
        with gr.Row(elem_id="film-plan") as planning:
            count = gr.Number(
                0, label="Stills in all (0: as many as pay)", precision=0, minimum=0, elem_id="film-count"
            )
            find = gr.Button("Find shots and stills", variant="primary", elem_id="film-find")
            cancel = gr.Button("Cancel", elem_id="film-cancel")
        shots = gr.Gallery(label="Shots", columns=6, height=190, allow_preview=False, fit_columns=False,
                           elem_id="film-shots", elem_classes="strip", buttons=[])  # fmt: skip
        self.parts = [choice, facts, planning, find, cancel, shots]
        refresh(drop.upload(tells(self._drop, (None,)), drop, [line, drop], **HEAVY))
        for event in (use.click, path.submit):
            refresh(event(tells(self._name), path, line, **HEAVY))
        refresh(find.click(tells(self._find), count, line, **HEAVY))
        refresh(cancel.click(self._cancel, None, line, **QUIET))

    def show(self, chosen: int | None) -> Sequence[Any]:
        """See `Screen`."""
        status = self._studio.jobs.status
        looks = status.kind == "plan" and status.active
        plan, there = self._studio.project.plan, self._studio.project.film_path is not None
        return [
            gr.update(visible=plan is None),
            self._facts(),
            gr.update(visible=there),
            gr.update(
                value="Find more stills" if plan else "Find shots and stills",
                variant="secondary" if plan else "primary",
                interactive=not status.active,
            ),
            gr.update(interactive=looks),
            gr.update(value=self._shots(), visible=plan is not None),
        ]

    def _name(self, typed: str) -> str:
        if not self._studio.is_local:
            raise UserError("films are not named by their path from another machine: drop the film")
        if not typed.strip():
            raise UserError("no path: type where the film lies, such as /films/street.mp4")
        self._studio.project.choose(Path(typed.strip()))
        return said("This is the film. Find its shots and stills next.")

    def _drop(self, file: str | None) -> tuple[str, None]:
        if file is None:
            return said(""), None
        dropped = Path(file)
        open_film(dropped)  # before anything is changed
        place = self._studio.project.folder / "source" / dropped.name
        if place.exists():
            raise UserError(f"{place} is there already: name its path to work on it")
        place.parent.mkdir(exist_ok=True)
        shutil.move(dropped, place)
        self._studio.project.choose(place)
        return said(f"{dropped.name} is the film, and lies in {place.parent}. Find its shots and stills next."), None

    def _find(self, count: float | None) -> str:
        self._studio.plan(int(count or 0))
        return said("")

    def _cancel(self) -> str:
        self._studio.jobs.cancel()
        return said("")

    def _facts(self) -> str:
        try:
            if self._studio.project.film_path is None:
                return said("There is no film yet.")
            told, plan = facts_of(self._studio.project.film), self._studio.project.plan
        except UserError as error:
            return wrong(str(error))
        rows = {
            "film": [told.name], "size": [told.size], "length": [told.length], "sound": [told.sound],
            "kept": told.kept, "lost or changed": told.lost or ["nothing"], "to know": told.notes,
            "shots": [str(len(plan.shots))] if plan else [],
        }  # fmt: skip
        return fragment("facts", {key: lines for key, lines in rows.items() if lines})

    def _shots(self) -> list[tuple[str, str]]:
        plan = self._studio.project.plan
        if plan is None:
            return []
        shown = list(enumerate(plan.shots, 1))[:_SHOTS]
        middles = [thumbnail(self._studio.project, (shot.start + shot.stop) // 2) for _, shot in shown]
        names = [f"{at}: frames {shot.start} to {shot.stop - 1}" for at, shot in shown]
        return [(str(path), name) for path, name in zip(middles, names, strict=True)]
