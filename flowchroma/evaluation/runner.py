"""A set of clips and the methods that enter: who scores what, in which process, and what is left to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from flowchroma.errors import UserError
from flowchroma.evaluation.judges import Judges
from flowchroma.evaluation.protocol import Protocol
from flowchroma.evaluation.scores import Store, fingerprint, identify
from flowchroma.evaluation.scoring import TRUTH, Paints, Score, score_clip
from flowchroma.evaluation.thumbnails import Stills
from flowchroma.film import Film

_RULES = 2  # raised when a figure changes its meaning: what was scored before is then scored again


@dataclass(frozen=True)
class Entrant:
    """A method that is scored.

    Args:
        begin: gives what paints a clip.
        about: its parameters and weights, for the report; figures are kept as long as this stays the same.
        frames: a short name for the frames of a clip that are already there; figures are kept as long as it does.
    """

    begin: Callable[[Film], Paints]
    about: Mapping[str, Any] = field(default_factory=dict)
    frames: Callable[[Film], str | None] = lambda film: None


@dataclass(frozen=True)
class Evaluation:
    """Scores clips that have no score yet.

    Args:
        films: the clips.
        entrants: by name.
        protocol: how.
        judges: the networks that judge.
        store: keeps the scores.
        device: where all happens.
    """

    films: Sequence[Film]
    entrants: Mapping[str, Entrant]
    protocol: Protocol
    judges: Judges
    store: Store
    device: torch.device

    def run(self, wait: bool, progress: Callable[[str, int], None] = lambda clip, frames: None) -> list[str]:
        """Score every clip that no other process is at.

        Args:
            wait: whether to wait for the clips of other processes, and to score what these leave undone.
            progress: told of frames done, by clip.

        Returns:
            What could not be scored, one line each.
        """
        problems: list[str] = []
        with torch.inference_mode():
            for film in self.films:
                with self.store.claim(film.name, wait) as mine:
                    if mine:
                        try:
                            problems += self._score(film, progress)
                        except UserError as error:
                            problems.append(f"{film.name} is not scored: {error}")
                progress(film.name, 0)
        return problems

    def identities(self, film: Film) -> dict[str, dict[str, Any]]:
        """What each method's figures on a clip, and the original's own, depend on.

        Raises:
            UserError: the film cannot be read.
        """
        original = identify([_RULES, len(film), film.size, fingerprint(film.path)])
        own = {"film": original, "method": identify([{}, self.judges.keys]), "frames": None}
        return {TRUTH: own} | {
            name: own | {"method": identify([dict(e.about), self.judges.keys]), "frames": e.frames(film)}
            for name, e in self.entrants.items()
        }

    def _score(self, film: Film, progress: Callable[[str, int], None]) -> list[str]:
        identities = self.identities(film)
        missing = [name for name, own in identities.items() if self.store.get(name, film.name, own) is None]
        names = [name for name in self.entrants if name in missing] or missing
        if not names:
            return []
        problems, painters = [], {}
        for name in names:
            try:
                if name != TRUTH:
                    painters[name] = self.entrants[name].begin(film)
            except UserError as error:
                problems.append(f"{film.name} by {name} is not scored: {error}")
        if not painters and names != [TRUTH]:
            return problems
        stills = Stills(self.store.folder / "stills")
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            progress(film.name, done)

        scores = score_clip(film, painters, self.protocol, self.judges, self.device, stills, count)
        for name, score in scores.items():
            if isinstance(score, Score):
                score.about = dict(self.entrants[name].about) if name in self.entrants else {}
                self.store.put(name, film.name, identities[name], score)
            else:
                problems.append(f"{film.name} by {name} is not scored: {score}")
        return problems
