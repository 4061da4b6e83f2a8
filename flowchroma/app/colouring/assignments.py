"""Which pictures each shot of a film is coloured from."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from flowchroma.app.colouring.pictures import Picture, Pictures, hash_of
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import to_tensor
from flowchroma.errors import UserError
from flowchroma.film import OpenedFilm, shown_frame
from flowchroma.film.excerpt import Excerpt
from flowchroma.models.contracts import Matcher
from flowchroma.plans import Shot
from flowchroma.plans.feature_similarity import closest, describe

_MOST = 3  # references of a shot: each costs time on every frame
_LOOKED_AT = 224  # short side in pixels, twice that at which pictures are compared
_PIECE = 240  # frames that a kill may cost, at most


@dataclass(frozen=True)
class Assignment:
    """A shot, and what it is coloured from."""

    shot: Shot
    keyframes: Mapping[int, Picture]
    references: Sequence[Picture]
    keeps_colour: bool = False  # its frames are passed through
    numbers: Sequence[int] = ()  # of its frames, where the film is an excerpt

    @property
    def key(self) -> str:
        """A hash of all that the shot's frames depend on, but for the options."""
        keyframes = [(number, picture.hash) for number, picture in sorted(self.keyframes.items())]
        references = [picture.hash for picture in self.references]
        return hash_of(self.shot.start, self.shot.stop, keyframes, references, self.keeps_colour, *self.numbers)

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Its frames in parts of about equal length, each of which is kept once it is done."""
        start, stop = self.shot.start, self.shot.stop
        count = -(-(stop - start) // _PIECE)
        ends = [start + (stop - start) * part // count for part in range(count + 1)]
        return list(pairwise(ends))

    @property
    def _ways_back(self) -> list[int]:
        """How many frames are estimated from each keyframe, of those before it."""
        starts = [self.shot.start - 1, *sorted(self.keyframes)]
        return [keyframe - before - 1 for before, keyframe in pairwise(starts)]

    @property
    def frames_back(self) -> int:
        """How many frames are estimated from the keyframe after them as well."""
        return sum(self._ways_back)

    @property
    def longest_way_back(self) -> int:
        """The most frames before a keyframe."""
        return max(self._ways_back, default=0)


def assign(
    shots: Sequence[Shot], pictures: Pictures, film: OpenedFilm, matcher: Matcher, keep: bool, device: torch.device
) -> list[Assignment]:
    """Give each shot its keyframes, and the references that resemble it most.

    A keyframe of another shot is a reference. So is a frame of a shot whose own colour is kept.

    Args:
        shots: All of the film's.
        pictures: What is given.
        film: The film.
        matcher: Judges what resembles what.
        keep: Pass shots through that have colour already.
        device: That it works on.
    """
    given = dict(pictures.keyframes)
    if keep:
        middles = {(shot.start + shot.stop) // 2 for shot in shots if shot.coloured} - given.keys()
        given |= {
            middle: Picture(pictures.spool, rgb) for middle in sorted(middles) for rgb in _readable(film, [middle])
        }
    several = [*pictures.references, *given.values()]
    described: list[Tensor] = []
    made = []
    for shot in shots:
        numbers = film.numbers[shot.start : shot.stop] if isinstance(film, Excerpt) else ()
        if keep and shot.coloured:
            made.append(Assignment(shot, {}, (), True, numbers))
            continue
        own = {number: picture for number, picture in given.items() if shot.start <= number < shot.stop}
        others = pictures.of_shots.get(shot.start, [])
        if not others and (shot.start not in pictures.of_shots or not own):
            others = [picture for picture in several if id(picture) not in set(map(id, own.values()))]
        count = _MOST - min(2, len(own))
        if len(others) > count:
            described = described or _described((picture.rgb for picture in several), matcher, device)
            looked = {(shot.start + shot.stop) // 2, shot.start + (shot.stop - shot.start) // 4}
            frames = _described(_readable(film, sorted(looked)), matcher, device)
            places = [next(at for at, p in enumerate(several) if p is other) for other in others]
            nearest = closest(frames, [described[place] for place in places], count) if frames else range(count)
            others = [others[at] for at in nearest]
        made.append(Assignment(shot, own, others, numbers=numbers))
    return made


def _readable(film: OpenedFilm, numbers: Sequence[int]) -> list[np.ndarray]:
    """Those of the frames that are not damaged."""
    frames: list[np.ndarray] = []
    for number in numbers:
        with suppress(UserError):
            frames.append(shown_frame(film, number))
    return frames


def _described(pictures: Iterable[np.ndarray], matcher: Matcher, device: torch.device) -> list[Tensor]:
    return [describe(matcher, rgb_to_lab(to_tensor(_at_most(rgb, _LOOKED_AT), device))) for rgb in pictures]


def _at_most(rgb: np.ndarray, side: int) -> np.ndarray:
    """A picture whose short side is no longer: colours of a large one take long to convert."""
    import cv2

    scale = side / min(rgb.shape[:2])
    return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
