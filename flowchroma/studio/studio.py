"""What the page works with: a project, its job, its stills, and the networks."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from flowchroma.errors import UserError
from flowchroma.studio.colours import Colours
from flowchroma.studio.jobs import Jobs
from flowchroma.studio.memory import give_back
from flowchroma.studio.previews import Preview, Previewer
from flowchroma.studio.project import Project
from flowchroma.studio.stills import Stills


@dataclass
class Studio:
    """All of it."""

    project: Project
    jobs: Jobs
    stills: Stills
    colours: Colours
    previewer: Previewer
    options: Sequence[str]  # that commands are given, as typed
    is_local: bool = True  # whether this machine alone is let in
    _turns: threading.Lock = field(default_factory=threading.Lock)
    _previewed: tuple[object, Preview] | None = None

    @staticmethod
    def open(folder: Path, checkpoint: str | None, device: torch.device, is_local: bool = True) -> "Studio":
        """The studio of a project's folder."""
        project = Project(folder)
        stills = Stills(project)
        colours = Colours(project, stills, checkpoint, device)
        options = [f"device={device}", *([f"checkpoint={checkpoint}"] if checkpoint else [])]
        return Studio(project, Jobs(project.own), stills, colours, Previewer(project, colours), options, is_local)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While something heavy is computed: others can be told that they wait."""
        with self._turns:
            yield

    @property
    def is_busy(self) -> bool:
        """Whether something heavy is being computed."""
        return self._turns.locked()

    @property
    def shots_done(self) -> str:
        """How many shots are coloured, in words; nothing where that cannot be said."""
        assignments = self.colours.known()
        frames = self.colours.done(assignments)
        lengths = [assignment.shot.stop - assignment.shot.start for assignment in assignments]
        whole = sum(done == length for done, length in zip(frames, lengths, strict=True))
        return f"{whole} of {len(assignments)} shots are done." if assignments else ""

    def plan(self, count: int) -> None:
        """Look for shots and stills: as many as pay, or so many in all.

        Raises:
            UserError: There is no film, or a job runs.
        """
        options = [f"source={self.project.film.path}", f"output={self.project.folder}", *self.options]
        self.jobs.start("plan", [*options, f"stills={count}"] if count else options)

    def colour(self, size: int) -> None:
        """Colour the film at a short side of `size`, or go on with it.

        Raises:
            UserError: Nothing has colour yet, or a job runs.
        """
        self.colours.assignments()
        # The film of before is replaced once the new one is whole; shots in which nothing changed are kept.
        options = [f"plan={self.project.folder}", f"source={self.project.film.path}", "overwrite=true"]
        self.jobs.start("colorize", [*options, f"output={self.project.output}", f"size={size}", *self.options])

    def preview(self, number: int, size: int) -> Preview:
        """Colour a frame alone; while the film is worked on, those that are finished are shown.

        Raises:
            UserError: It cannot be coloured, or the film is worked on.
        """
        if self.jobs.status.state == "running" and self.colours.finished(number) is None:
            raise UserError("the film is being worked on: pause it to preview this frame, or wait until it is done")
        asked, last = (number, size, self.project.version), self._previewed
        if last is not None and last[0] == asked:  # a number is asked for when it is left, and again by the button
            return last[1]
        try:
            made = self.previewer.preview(number, size)
        finally:
            give_back()
        self._previewed = (asked, made)
        return made
