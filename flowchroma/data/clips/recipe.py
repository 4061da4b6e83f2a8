"""Which frames of a film, and which references, a training clip consists of."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from flowchroma.data.clips.augmentation import Augmentation
from flowchroma.errors import UserError

_KINDS = ("first", "far", "augmented", "other")


@dataclass(frozen=True)
class ReferenceChoice:
    """What a reference is to be."""

    kind: str  # "first", "far", "augmented" or "other", see `Recipe`
    frame: int | None = None  # of the film, where the kind is "far"


@dataclass(frozen=True)
class ClipPlan:
    """The frames and references of one clip."""

    indices: list[int]  # of the film, in the clip's order
    references: list[ReferenceChoice]

    @property
    def far_frames(self) -> list[int]:
        """The film's frames that are references of kind "far"."""
        return [choice.frame for choice in self.references if choice.frame is not None]


@dataclass(frozen=True)
class Recipe:
    """How training clips are made.

    Args:
        length: frames in a clip.
        size: height and width of a clip.
        stride: least and most step between its frames; always 1 for films with exact flow.
        reference: how likely each kind of reference is, relative to the others: "first" is the clip's first frame,
            "far" another frame of the film, "augmented" a frame of the clip, warped and recoloured, "other" a frame of
            another film, or, where the film is made of a picture, of another picture in its folder. "augmented" takes
            the place of "far" where the film has no such frame, and of "other" where there is no such film.
        max_gap: frames from the clip to a far reference at most; None for anywhere in the film.
        references: how many a clip has. Only the first of them can be of kind "first"; the others are "far" instead.
        augmentation: the ranges that clips are augmented in.

    Raises:
        UserError: a length, a stride or the references make no sense.
    """

    length: int
    size: tuple[int, int]
    stride: Sequence[int] = (1, 2)
    reference: Mapping[str, float] = field(default_factory=lambda: {"first": 0.4, "far": 0.4, "augmented": 0.2})
    max_gap: int | None = None
    references: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.reference) - set(_KINDS))
        if unknown:
            raise UserError(f"data.reference has no kind {unknown[0]}: it has {', '.join(_KINDS)}", code=2)
        if min(self.reference.values(), default=0) < 0 or sum(self.reference.values()) <= 0:
            raise UserError(
                f"data.reference leaves no kind: give {', '.join(_KINDS)} each 0 or more, and one above 0", code=2
            )
        if self.references < 1:
            raise UserError(f"data.references is {self.references}: a clip needs 1 or more")
        if self.length < 2:
            raise UserError(f"data.clip_length is {self.length}: motion needs clips of at least 2 frames")
        if not 1 <= self.stride[0] <= self.stride[1]:
            raise UserError(f"data.stride is {list(self.stride)}: give the least and the most step, 1 or more")

    def draw(self, rng: np.random.Generator, frames: int, exact_flow: bool) -> ClipPlan:
        """Draw a clip of a film with at least `length` frames; with exact flow, consecutive ones that run forward."""
        longest = (frames - 1) // (self.length - 1)
        low, high = (1, 1) if exact_flow else (min(step, longest) for step in self.stride)
        step = int(rng.integers(low, high + 1))
        start = int(rng.integers(frames - step * (self.length - 1)))
        indices = [start + step * k for k in range(self.length)]
        shown = sorted(indices)
        far = self._draw_far(rng, shown, (), frames)
        if not exact_flow and rng.random() < self.augmentation.reverse:
            indices.reverse()
        references = [_choice(self._draw_kind(rng), far)]
        while len(references) < self.references:
            taken = [choice.frame for choice in references if choice.frame is not None]
            far = self._draw_far(rng, shown, taken, frames)
            kind = self._draw_kind(rng)
            references.append(_choice("far" if kind == "first" else kind, far))
        return ClipPlan(indices, references)

    @cached_property
    def _cumulative(self) -> list[float]:
        """The cumulative probability of each kind."""
        odds = np.cumsum([self.reference.get(kind, 0.0) for kind in _KINDS])
        return (odds / odds[-1]).tolist()

    def _draw_kind(self, rng: np.random.Generator) -> str:
        return _KINDS[bisect_right(self._cumulative, rng.random())]

    def _draw_far(
        self, rng: np.random.Generator, shown: Sequence[int], taken: Sequence[int], frames: int
    ) -> int | None:
        gap = frames if self.max_gap is None else self.max_gap
        first, last = max(0, shown[0] - gap), min(frames, shown[-1] + gap + 1)
        used = sorted({frame for frame in (*shown, *taken) if first <= frame < last})
        others = last - first - len(used)
        if not others:
            return None
        drawn = first + int(rng.integers(others))
        for frame in used:
            drawn += frame <= drawn
        return drawn


def _choice(kind: str, far: int | None) -> ReferenceChoice:
    if kind != "far":
        return ReferenceChoice(kind)
    return ReferenceChoice("augmented") if far is None else ReferenceChoice("far", far)
