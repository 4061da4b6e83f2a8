"""A film, its plan and what is made of it, in one folder that the commands work in as well."""

import json
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from flowchroma.errors import UserError
from flowchroma.files.atomic import write_atomically
from flowchroma.film import OpenedFilm, open_film
from flowchroma.film.segments.work import Work
from flowchroma.film.suffixes import FRAME_SUFFIXES
from flowchroma.plans import Plan, read_plan
from flowchroma.plans.gain_file import PLANNED, PROPOSED
from flowchroma.plans.plan_file import FILE as PLAN
from flowchroma.plans.plan_file import gray_of

_OWN, _FILM = ".studio", "film.json"
_KEPT = 12  # frames of the film in memory


class Project:
    """What lies in the folder, read anew whenever it has changed.

    Args:
        folder: What `python -m flowchroma.plan` writes, or is to write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.own = self.folder / _OWN  # for what is the studio's alone
        self.output = self.folder / "film.mp4"
        self._segments = Work(self.output).path / "segments"
        self.lock = threading.RLock()  # of the film's decoder, and of what is remembered
        self._film: OpenedFilm | None = None
        self._frames: OrderedDict[int, np.ndarray] = OrderedDict()
        self._plan: tuple[tuple[int, int], Plan] | None = None
        self.own.mkdir(parents=True, exist_ok=True)

    @property
    def film_path(self) -> Path | None:
        """Where the film lies; None where none was chosen."""
        try:
            return Path(json.loads((self.own / _FILM).read_text(encoding="utf-8"))["path"])
        except (OSError, ValueError, TypeError, KeyError):
            return Path(self.plan.film.path) if self.plan else None

    def choose(self, path: Path) -> None:
        """Work on this film.

        Raises:
            UserError: It is none, or the project's plan is of another.
        """
        with self.lock:
            film = open_film(path)
            if self.plan:
                read_plan(self.folder, film, pictures=False)
            self._film, self._frames = film, OrderedDict()
            write_atomically(self.own / _FILM, json.dumps({"path": str(path.expanduser().absolute())}))

    @property
    def film(self) -> OpenedFilm:
        """The film.

        Raises:
            UserError: None was chosen, or it cannot be opened.
        """
        with self.lock:
            path = self.film_path
            if path is None:
                raise UserError("there is no film yet: drop one, or name its path")
            if self._film is None or self._film.path is None or self._film.path.absolute() != path.absolute():
                self._film, self._frames = open_film(path), OrderedDict()
            return self._film

    def frame(self, number: int) -> np.ndarray:
        """A frame of the film, (H, W, 3) uint8 RGB; those asked for last are remembered.

        Raises:
            UserError: There is none of that number, or it cannot be read.
        """
        with self.lock:
            film = self.film
            if number not in self._frames:
                self._frames[number] = film.read([number])[0]
                while len(self._frames) > _KEPT:
                    self._frames.popitem(last=False)
            return self._frames[number]

    def gray(self, number: int) -> np.ndarray:
        """The luminance of a frame, (H, W, 3) uint8 RGB."""
        return gray_of(self.frame(number))

    @property
    def plan(self) -> Plan | None:
        """The film's plan; None where none was made.

        Raises:
            UserError: It was edited, and something in it is wrong.
        """
        with self.lock:
            try:
                stat = (self.folder / PLAN).stat()
            except OSError:
                self._plan = None
                return None
            stamp = (stat.st_mtime_ns, stat.st_size)
            if self._plan is None or self._plan[0] != stamp:
                self._plan = (stamp, read_plan(self.folder, pictures=False))
            return self._plan[1]

    def shot_of(self, number: int) -> int:
        """The shot that a frame is in, counted from 1; 0 where there is no plan."""
        plan = self.plan
        return sum(shot.start <= number for shot in plan.shots) if plan else 0

    @property
    def version(self) -> str:
        """A text that changes with whatever the page shows but for a job's progress."""
        watched = [self.own / "job.json", self.folder / PLANNED, self.folder / PROPOSED, self.output, self._segments]
        return f"{self.pictures_version} {[stamp(file) for file in watched]}"

    @property
    def pictures_version(self) -> str:
        """A text that changes with the film, its plan, and the pictures that it is coloured from."""
        pictures = [file for file in self.folder.iterdir() if file.suffix.lower() in FRAME_SUFFIXES]
        watched = [self.own / _FILM, self.folder / PLAN, *sorted(pictures)]
        return str([(file.name, stamp(file)) for file in watched])


def stamp(path: Path) -> tuple[int, int]:
    """What changes with a file's content; zeros where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size
