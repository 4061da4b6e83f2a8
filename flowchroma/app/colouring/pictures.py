"""The coloured pictures that the options name."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from flowchroma.app.options import named_references
from flowchroma.errors import UserError
from flowchroma.film import OpenedFilm, read_reference
from flowchroma.plans.keyframes import Keyframe, Keyframes, fit_pictures, read_keyframes
from flowchroma.plans.plan_file import Plan, still_name
from flowchroma.plans.plan_reading import still_files


@dataclass(frozen=True)
class Picture:
    """A coloured picture."""

    rgb: np.ndarray  # (h, w, 3) uint8, of any size; of a keyframe that of the film
    holds: np.ndarray | None = None  # (H, W), bool: where it shows what its frame does; None for everywhere

    @property
    def hash(self) -> str:
        """Of letters and digits; other pictures have others."""
        digest = hashlib.sha256(repr((self.rgb.shape, self.holds is None)).encode())
        digest.update(self.rgb.tobytes())
        digest.update(b"" if self.holds is None else self.holds.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Pictures:
    """What a film takes its colours from."""

    references: Sequence[Picture]  # of something else
    keyframes: Mapping[int, Picture]  # of the film's frames, by number
    of_shots: Mapping[int, Sequence[Picture]] = field(default_factory=dict)  # a plan's references, by a shot's start

    @property
    def hash(self) -> str:
        """Of all of them."""
        told = [(number, picture.hash) for number, picture in sorted(self.keyframes.items())]
        return hash_of(told, [picture.hash for picture in self.references])


def read_pictures(config: DictConfig, film: OpenedFilm) -> Pictures:
    """Read references and keyframes.

    Raises:
        UserError: there are none, or one of them cannot be used.
    """
    references: list[Picture] = []
    keyframes: dict[int, Picture] = {}
    if config.keyframes:
        references, keyframes = _told_apart(read_keyframes(str(config.keyframes), film))
    if config.reference is not None or not config.keyframes:
        for name in named_references(str(config.reference or "first")):
            rgb, frame = read_reference(name, film)
            if frame is None:
                references.append(Picture(rgb))
            elif frame in keyframes:
                raise UserError(f"frame {frame} is given by reference={name} and by a keyframe: leave one of them out")
            else:
                keyframes[frame] = Picture(rgb)
    return Pictures(references, keyframes)


def read_planned(
    folder: Path,
    plan: Plan,
    film: OpenedFilm,
    fitted: Callable[[Mapping[int, Path], OpenedFilm], Keyframes] = fit_pictures,
) -> Pictures:
    """Read the pictures of a plan.

    Args:
        folder: The plan's.
        plan: What it says.
        film: The film that it is of.
        fitted: Reads and fits its stills; another one than `fit_pictures` may remember those of before.

    Raises:
        UserError: there are none, or one of them cannot be used.
    """
    references: list[Picture] = []
    keyframes: dict[int, Picture] = {}
    if plan.stills:
        references, keyframes = _told_apart(fitted(still_files(folder, plan, film), film))
    others = {path: Picture(read_reference(str(path), film)[0]) for path in plan.others}
    if not (references or keyframes or others):
        raise UserError(f"the plan {folder} has neither stills nor references: run the plan again, or add some")
    stills = {folder / still_name(number): picture for number, picture in keyframes.items()}
    named = {path.absolute(): picture for path, picture in (others | stills).items()}
    of_shots = {
        shot.start: [named[path.absolute()] for path in shot.references if path.absolute() in named]
        for shot in plan.shots
    }
    return Pictures([*references, *others.values()], keyframes, of_shots)


def hash_of(*told: object) -> str:
    """A hash of whatever has a text of its own, of letters and digits."""
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _told_apart(found: Keyframes) -> tuple[list[Picture], dict[int, Picture]]:
    """Plain references, and keyframes."""

    def picture(keyframe: Keyframe) -> Picture:
        holds = keyframe.fit.holds if keyframe.fit else None
        return Picture(keyframe.rgb, None if holds is None or holds.all() else holds)

    return [Picture(k.rgb) for k in found.references], {k.frame: picture(k) for k in found.fitting}
