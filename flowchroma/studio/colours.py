"""What each shot of a project is coloured from, and which frames of it are done, as colouring itself sees both."""

import json
import threading
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch

from flowchroma.app.colouring.assignments import Assignment, assign
from flowchroma.app.colouring.error_files import ErrorFiles
from flowchroma.app.colouring.pictures import Picture, read_planned
from flowchroma.app.systems import load_system
from flowchroma.errors import UserError
from flowchroma.files.spool import Spool
from flowchroma.film import open_film, read_reference
from flowchroma.film.segments.store import Segment
from flowchroma.film.segments.work import Work, segment_name
from flowchroma.models import FlowChroma
from flowchroma.models.ready import ready_to_colour
from flowchroma.plans import Shot
from flowchroma.studio.project import Project
from flowchroma.studio.stills import Stills


class Colours:
    """Assignments of pictures to shots, the networks, and the frames that are kept.

    Args:
        project: The project.
        stills: Its stills.
        checkpoint: Directory of a fusion run; None takes the shipped weights.
        device: That computes.
    """

    def __init__(self, project: Project, stills: Stills, checkpoint: str | None, device: torch.device) -> None:
        self._project, self._stills, self._checkpoint, self.device = project, stills, checkpoint, device
        self._system: FlowChroma | None = None
        self._assigned: tuple[str, list[Assignment]] | None = None
        self._keys: dict[int, str] = {}
        self._names: dict[str, str] = {}
        self._work = Work(project.output)
        self._loading = threading.Lock()

    @property
    def system(self) -> FlowChroma:
        """The networks, loaded when they are asked for first."""
        with self._loading:
            if self._system is None:
                self._system = ready_to_colour(load_system(self._checkpoint).to(self.device))
            return self._system

    @property
    def missing(self) -> str:
        """What there must be before anything is coloured, in words; nothing where it is there."""
        plan = self._project.plan
        if plan is None:
            return "there are no shots yet: find shots and stills first"
        coloured = any(still.coloured for still in self._stills.all())
        if coloured or plan.others or any(shot.keep_colour for shot in plan.shots):
            return ""
        return "no still has colour yet: drop a coloured one first"

    def assignments(self) -> list[Assignment]:
        """Every shot with its pictures.

        Raises:
            UserError: There is no plan, or none of its pictures has colour, or one cannot be read.
        """
        with self._project.lock, torch.inference_mode():
            version = self._project.pictures_version
            if self._assigned is None or self._assigned[0] != version:
                made = self._assign()
                self._assigned, self._keys = (version, made), {id(a): a.key for a in made}  # a key takes its time
                self._names = self._named(made)
            return self._assigned[1]

    def name(self, picture: Picture) -> str:
        """What a picture of the assignments is called."""
        return self._names.get(picture.hash, "a picture")

    def known(self) -> list[Assignment]:
        """The same; none where it cannot be said."""
        with suppress(UserError):
            return self.assignments()
        return []

    def done(self, assignments: Sequence[Assignment]) -> list[int]:
        """How many frames of each shot are coloured from the pictures that it has now."""
        return [sum(stop - start for start, stop, _ in self._kept(a)) for a in assignments]

    def finished(self, number: int) -> np.ndarray | None:
        """A frame as it was coloured, (H, W, 3) uint8 RGB, if it was, from the pictures that its shot has now."""
        for assignment in self.known():
            for start, stop, key in self._kept(assignment):
                if start <= number < stop:
                    name = segment_name(start, stop, key)
                    picture = (self._work.index(name) or {}).get("picture", "")
                    with suppress(UserError):
                        return open_film(self._work.segment(name) / picture).read([number - start])[0]
        return None

    def errors(self) -> np.ndarray:
        """Expected error of each frame, (T,), CIELAB units, mean over the frame; NaN where it is not known."""
        plan = self._project.plan
        if plan is None:
            return np.zeros(0)
        pieces = [(*piece, self._keys[id(a)]) for a in self.known() for piece in a.pieces]
        return ErrorFiles(self._work.path, pieces).means() if pieces else np.full(plan.film.frames, np.nan)

    @property
    def size(self) -> int | None:
        """The short side at which colouring was begun; None where it was not."""
        try:
            held = json.loads((self._work.path / "job.json").read_text(encoding="utf-8"))
            return int(held["job"]["size"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def frames(self) -> int:
        """How many frames are kept, also of pictures of before."""
        return self._work.frames()

    def _kept(self, assignment: Assignment) -> list[Segment]:
        pieces = [(*piece, self._keys[id(assignment)]) for piece in assignment.pieces]
        return [piece for piece in pieces if self._work.index(segment_name(*piece)) is not None]

    def _assign(self) -> list[Assignment]:
        if self.missing:
            raise UserError(self.missing)
        plan, film = self._project.plan, self._project.film
        assert plan is not None
        pictures = read_planned(self._project.folder, plan, film, self._stills.fitted)
        shots = [Shot(shot.start, shot.stop, shot.keep_colour) for shot in plan.shots]
        return assign(shots, pictures, film, self.system.matcher, True, self.device)

    def _named(self, assignments: Sequence[Assignment]) -> dict[str, str]:
        plan, film = self._project.plan, self._project.film
        assert plan is not None
        spool = Spool()
        names = {Picture(spool, read_reference(str(path), film)[0]).hash: path.name for path in plan.others}
        for assignment in assignments:
            names |= {picture.hash: f"still {number}" for number, picture in assignment.keyframes.items()}
        return names
