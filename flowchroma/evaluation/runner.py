"""A set of clips and the methods to evaluate on them: which process scores what, and what is left to do."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from flowchroma.errors import UserError
from flowchroma.evaluation.clip_metrics import Score
from flowchroma.evaluation.perceptual_networks import PerceptualNetworks
from flowchroma.evaluation.protocol import Protocol
from flowchroma.evaluation.score_store import ScoreStore, fingerprint, short_hash
from flowchroma.evaluation.scoring import TRUTH, FrameColorizer, score_clip
from flowchroma.film import Film

_RULES = 2  # raised when a figure changes its meaning: what was scored before is then scored again


@dataclass(frozen=True)
class EvaluatedMethod:
    """A method to score. Its scores stay valid while `about`, and what `frames` gives for a clip, stay the same."""

    start_clip: Callable[[Film], FrameColorizer]
    about: Mapping[str, Any] = field(default_factory=dict)  # parameters and weights, for the report
    frames: Callable[[Film], str | None] = lambda film: None  # a hash of a clip's coloured frames that lie on disk


@dataclass(frozen=True)
class Evaluation:
    """Scores clips that have no score yet."""

    films: Sequence[Film]
    methods: Mapping[str, EvaluatedMethod]
    protocol: Protocol
    networks: PerceptualNetworks
    store: ScoreStore
    device: torch.device

    def run(self, wait: bool, progress: Callable[[str, int], None] = lambda clip, frames: None) -> list[str]:
        """Score every clip that no other process is at.

        Args:
            wait: whether to wait for the clips of other processes, and to score what these leave undone.
            progress: called with a clip and its frames done.

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
        """What each method's figures on a clip, and the original's own, depend on."""
        given = [] if self.protocol.keyframes is None else [self.protocol.given(film)]
        original = short_hash([_RULES, len(film), film.size, fingerprint(film.path), *given])
        own = {"film": original, "method": short_hash([{}, self.networks.keys]), "frames": None}
        return {TRUTH: own} | {
            name: own | {"method": short_hash([dict(e.about), self.networks.keys]), "frames": e.frames(film)}
            for name, e in self.methods.items()
        }

    def _score(self, film: Film, progress: Callable[[str, int], None]) -> list[str]:
        identities = self.identities(film)
        missing = [name for name, own in identities.items() if self.store.get(name, film.name, own) is None]
        names = [name for name in self.methods if name in missing] or missing
        if not names:
            return []
        problems, painters = [], {}
        for name in names:
            try:
                if name != TRUTH:
                    painters[name] = self.methods[name].start_clip(film)
            except UserError as error:
                problems.append(f"{film.name} by {name} is not scored: {error}")
        if not painters and names != [TRUTH]:
            return problems
        stills = self.store.folder / "stills"
        done = itertools.count(1)

        def count() -> None:
            progress(film.name, next(done))

        scores = score_clip(film, painters, self.protocol, self.networks, self.device, stills, count)
        for name, score in scores.items():
            if isinstance(score, Score):
                score.about = dict(self.methods[name].about) if name in self.methods else {}
                self.store.put(name, film.name, identities[name], score)
            else:
                problems.append(f"{film.name} by {name} is not scored: {score}")
        return problems
