"""Data sets of clips, each clip a function of its key."""

from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from flowchroma.data.clips.augmentation import FrameVariation, stack_variations
from flowchroma.data.clips.buffers import ClipLayout
from flowchroma.data.clips.geometry import centre_crop, draw_crop, mirror_flow
from flowchroma.data.clips.raw import ClipVariation, RawClip
from flowchroma.data.clips.reading import (
    ClipFlow,
    checked_length,
    first_readable_clip,
    has_exact_flow,
    read_exact_flow,
    read_frames,
)
from flowchroma.data.clips.recipe import ClipPlan, Recipe, ReferenceChoice
from flowchroma.data.clips.sampler import ClipKey
from flowchroma.data.sources.picture_folders import StillFilm
from flowchroma.errors import UserError
from flowchroma.film.film import Film

Frames = NDArray[np.uint8]  # (N, H, W, 3), RGB
Making = Generator[None, None, RawClip | UserError]  # a clip that is being made

_BOOL = torch.tensor(False), torch.tensor(True)
_MOST_FILMS = 32  # tried for one clip
_MOST_OTHER_FILMS = 3  # tried for a reference of another film, before one of the clip's own film takes its place


@dataclass(frozen=True)
class FilmGroup:
    """A source's training films, and how many clips an epoch takes from them."""

    films: Sequence[Film]
    clips: int


def finish(making: Making) -> RawClip | UserError:
    """Go on with a clip to its end."""
    while True:
        try:
            next(making)
        except StopIteration as done:
            return done.value


@dataclass(frozen=True)
class ClipWindow:
    """Consecutive frames of a film, by the first of them."""

    film: Film
    start: int


class ClipDataset(Dataset[RawClip | UserError]):
    """Clips by key."""

    layout: ClipLayout

    @abstractmethod
    def __len__(self) -> int: ...

    def __getitem__(self, key: ClipKey) -> RawClip | UserError:
        frames, references = self.layout.arrays(np.empty(self.layout.bytes_of(1), np.uint8), 1)
        return finish(self.make(key, frames[0], references[0]))

    @abstractmethod
    def make(self, key: ClipKey, frames: Frames, references: Frames) -> Making:
        """Make a clip in given memory, `frames` (T, H, W, 3) and `references` (R, H, W, 3).

        It stops once all that is random is drawn, before frames are read: drawing is several times as fast where the
        clips of a batch are drawn one after the other, as frames that are decoded push its code out of the caches.

        Returns:
            The clip, its tensors being views of the memory; or the error, where no film could be read.
        """


class TrainingClips(ClipDataset):
    """Augmented clips. A film that cannot be read is replaced by another one, drawn from the key as well."""

    def __init__(self, groups: Sequence[FilmGroup], recipe: Recipe, where: str) -> None:
        self.groups, self.recipe, self.where = groups, recipe, where
        self.films = [film for group in groups for film in group.films]
        self.layout = ClipLayout(recipe.length, recipe.references, recipe.size)

    def __len__(self) -> int:
        return sum(group.clips for group in self.groups)

    def make(self, key: ClipKey, frames: Frames, references: Frames) -> Making:
        """See `ClipDataset.make`."""
        attempts = (
            (film, partial(self._make, film, (key.seed, key.index, attempt), frames, references))
            for attempt, film in enumerate(self._candidates(key))
        )
        return (yield from first_readable_clip(attempts, f"training clip of {self.recipe.length} frames", self.where))

    def _candidates(self, key: ClipKey) -> Iterator[Film]:
        yield self._film_of(key)
        rng = np.random.default_rng((key.seed, key.index))
        for other in rng.choice(len(self.films), min(_MOST_FILMS, len(self.films)), replace=False):
            yield self.films[other]

    def _film_of(self, key: ClipKey) -> Film:
        index = key.index
        for group in self.groups:
            if index < group.clips:
                # Each epoch continues where the one before ended, so that all films of a large group are used in turn.
                return group.films[(index + key.seed * group.clips) % len(group.films)]
            index -= group.clips
        raise IndexError(key.index)

    def _make(
        self, film: Film, seed: tuple[int, int, int], frames: Frames, references: Frames
    ) -> Generator[None, None, RawClip]:
        rng, recipe = np.random.default_rng(seed), self.recipe
        plan = recipe.draw(rng, checked_length(film, recipe.length), has_exact_flow(film))
        crop = draw_crop(rng, film.size, recipe.size, recipe.augmentation.crop_scale)
        mirrored = rng.random() < recipe.augmentation.flip
        flow = read_exact_flow(film, plan.indices, crop, recipe.size)
        if mirrored and flow.exact:
            flow = ClipFlow(*mirror_flow(flow.flow, flow.visible), True)
        drawn = self._draw_references(rng, film, plan, references)
        variation = stack_variations(drawn.variations, seed=int(rng.integers(2**62)))
        clip = _raw_clip(film, plan, frames, references, flow, variation, drawn.own, drawn.failed)
        yield
        far = [image for image, choice in zip(references, plan.references, strict=True) if choice.kind == "far"]
        read_frames(film, [*plan.indices, *plan.far_frames], crop, [*frames, *far], mirrored)
        for number, frame in drawn.copied.items():
            np.copyto(references[number], frames[frame])
        return clip

    def _draw_references(
        self, rng: np.random.Generator, film: Film, plan: ClipPlan, references: Frames
    ) -> "_DrawnReferences":
        """Draw how frames and references vary, and read references of other films."""
        variation = self.recipe.augmentation.draw(rng)
        drawn = _DrawnReferences([variation] * self.recipe.length)
        for number, choice in enumerate(plan.references):
            if choice.kind == "other":
                other = self._read_other_film(rng, film, references[number], drawn.failed)
                if other is not None:
                    drawn.variations.append(other)
                    continue
            drawn.own = True
            drawn.variations.append(variation)
            if choice.kind == "first":
                drawn.copied[number] = 0
            elif choice.kind != "far":
                drawn.copied[number] = int(rng.integers(self.recipe.length))
                drawn.variations[-1] = variation.perturbed(rng, self.recipe.size)
        return drawn

    def _read_other_film(
        self, rng: np.random.Generator, film: Film, image: NDArray[np.uint8], failed: dict[str, str]
    ) -> FrameVariation | None:
        """Write a frame of another film, and draw its variation; None where no other film can be read."""
        recipe = self.recipe
        for _ in range(_MOST_OTHER_FILMS):
            other = draw_other_film(rng, film, self.films)
            if other is None:
                return None
            try:
                index = int(rng.integers(checked_length(other, 1)))
                crop = draw_crop(rng, other.size, recipe.size, recipe.augmentation.crop_scale)
                mirrored = bool(rng.random() < recipe.augmentation.flip)
                read_frames(other, [index], crop, [image], mirrored)
            except UserError as error:
                failed.setdefault(other.name, str(error))
                continue
            return recipe.augmentation.draw(rng)
        return None


class ValidationClips(ClipDataset):
    """The same clips every time, not augmented: cropped in the middle, the first frame as the reference."""

    def __init__(self, windows: Sequence[ClipWindow], length: int, size: tuple[int, int], where: str) -> None:
        self.windows, self.where = windows, where
        self.layout = ClipLayout(length, 1, size)

    def __len__(self) -> int:
        return len(self.windows)

    def make(self, key: ClipKey, frames: Frames, references: Frames) -> Making:
        """See `ClipDataset.make`."""
        windows = [*self.windows[key.index :], *self.windows[: key.index]][:_MOST_FILMS]
        attempts = ((window.film, partial(self._make, window, frames, references)) for window in windows)
        return (yield from first_readable_clip(attempts, f"validation clip of {self.layout.length} frames", self.where))

    def _make(self, window: ClipWindow, frames: Frames, references: Frames) -> Generator[None, None, RawClip]:
        film, indices = window.film, list(range(window.start, window.start + len(frames)))
        crop = centre_crop(film.size, self.layout.size)
        yield
        read_frames(film, indices, crop, list(frames))
        np.copyto(references, frames[:1])
        flow = read_exact_flow(film, indices, crop, self.layout.size)
        return _raw_clip(film, ClipPlan(indices, [ReferenceChoice("first")]), frames, references, flow)


@dataclass
class _DrawnReferences:
    """How the references of a clip were drawn."""

    variations: list[FrameVariation]  # of all frames, then of all references
    own: bool = False  # whether a reference is of the film itself
    copied: dict[int, int] = field(default_factory=dict)  # references that are frames of the clip: which frame
    failed: dict[str, str] = field(default_factory=dict)  # films that could not be read, and why


def draw_other_film(rng: np.random.Generator, film: Film, films: Sequence[Film]) -> Film | None:
    """Draw a film other than this one: of a picture's own folder, where it is made of one, else of all films."""
    if isinstance(film, StillFilm):
        return film.draw_sibling(rng)
    drawn = films[int(rng.integers(len(films)))]
    if drawn.name != film.name:
        return drawn
    rest = [other for other in films if other.name != film.name]
    return rest[int(rng.integers(len(rest)))] if rest else None


def _raw_clip(
    film: Film,
    plan: ClipPlan,
    frames: Frames,
    references: Frames,
    flow: ClipFlow,
    variation: ClipVariation | None = None,
    own_colours: bool = True,
    failed: Mapping[str, str] | None = None,
) -> RawClip:
    return RawClip(
        rgb=torch.from_numpy(frames).permute(0, 3, 1, 2),
        references=torch.from_numpy(references).permute(0, 3, 1, 2),
        flow=flow.flow,
        visible=flow.visible,
        has_flow=_BOOL[flow.exact],
        starts_coloured=_BOOL[plan.references[0].kind == "first"],
        own_colours=_BOOL[own_colours],
        names=(f"{film.name} {plan.indices[0]}..{plan.indices[-1]}",),
        skipped=tuple(f"{name}: {reason}" for name, reason in failed.items()) if failed else (),
        variation=variation,
    )
