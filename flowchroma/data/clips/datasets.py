"""The data sets: from a key to a clip."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from flowchroma.data.clips.augmentation import Look, gather
from flowchroma.data.clips.buffers import Layout
from flowchroma.data.clips.geometry import centre_crop, draw_crop, mirror_flow
from flowchroma.data.clips.raw import RawClip
from flowchroma.data.clips.reading import Motion, checked_length, first_readable, knows_flow, read_frames, read_motion
from flowchroma.data.clips.recipe import Draw, Recipe, Wanted
from flowchroma.data.clips.sampler import ClipKey
from flowchroma.data.sources.source import ReadableFilm
from flowchroma.errors import UserError

Frames = NDArray[np.uint8]  # (N, H, W, 3), RGB

_TRUTH = torch.tensor(False), torch.tensor(True)
_MOST_TRIES = 32  # clips tried for one item before it is given up
_MOST_OTHERS = 3  # films tried for a reference before the clip's own serves


@dataclass(frozen=True)
class Pool:
    """A source's training films and how many clips an epoch takes from them."""

    films: Sequence[ReadableFilm]
    clips: int


@dataclass(frozen=True)
class Window:
    """Consecutive frames of a film, by the first of them."""

    film: ReadableFilm
    start: int


class Clips(Dataset[RawClip | UserError]):
    """Clips by key."""

    layout: Layout

    @abstractmethod
    def __len__(self) -> int: ...

    def __getitem__(self, key: ClipKey) -> RawClip | UserError:
        shown, references = self.layout.arrays(np.empty(self.layout.bytes_of(1), np.uint8), 1)
        return self.make(key, shown[0], references[0])

    @abstractmethod
    def make(self, key: ClipKey, shown: Frames, references: Frames) -> RawClip | UserError:
        """Make a clip whose frames and references are written into these.

        Returns:
            The clip, its tensors being views of them; or, where no film could be read, why.
        """


class TrainingClips(Clips):
    """Varied clips, each a pure function of its key; what cannot be read is replaced by a clip of another film."""

    def __init__(self, pools: Sequence[Pool], recipe: Recipe, where: str) -> None:
        self.pools, self.recipe, self.where = pools, recipe, where
        self.films = [film for pool in pools for film in pool.films]
        self.layout = Layout(recipe.length, recipe.references, recipe.size)

    def __len__(self) -> int:
        return sum(pool.clips for pool in self.pools)

    def make(self, key: ClipKey, shown: Frames, references: Frames) -> RawClip | UserError:
        """See `Clips.make`."""
        films = enumerate(self._candidates(key))
        tries = ((film, partial(self._make, film, (key.seed, key.index, k), shown, references)) for k, film in films)
        return first_readable(tries, f"training clip of {self.recipe.length} frames", self.where)

    def _candidates(self, key: ClipKey) -> Iterator[ReadableFilm]:
        yield self._chosen(key)
        rng = np.random.default_rng((key.seed, key.index))
        for other in rng.choice(len(self.films), min(_MOST_TRIES, len(self.films)), replace=False):
            yield self.films[other]

    def _chosen(self, key: ClipKey) -> ReadableFilm:
        index = key.index
        for pool in self.pools:
            if index < pool.clips:
                # Each epoch goes on where the one before left off: a pool with more films than clips is still all seen.
                return pool.films[(index + key.seed * pool.clips) % len(pool.films)]
            index -= pool.clips
        raise IndexError(key.index)

    def _make(self, film: ReadableFilm, seed: tuple[int, int, int], shown: Frames, references: Frames) -> RawClip:
        rng, recipe = np.random.default_rng(seed), self.recipe
        draw = recipe.draw(rng, checked_length(film, recipe.length), knows_flow(film))
        crop = draw_crop(rng, film.size, recipe.size, recipe.augmentation.crop_scale)
        far = (place for place, wanted in zip(references, draw.references, strict=True) if wanted.kind == "far")
        mirrored = rng.random() < recipe.augmentation.flip
        read_frames(film, [*draw.indices, *draw.far], crop, [*shown, *far], mirrored)
        motion = read_motion(film, draw.indices, crop, recipe.size)
        if mirrored and motion.exact:
            motion = Motion(*mirror_flow(motion.flow, motion.visible), True)
        looks, own, failed = self._refer(rng, film, draw, shown, references)
        clip = _raw_clip(film, draw, shown, references, motion)
        return replace(
            clip,
            looks=gather(looks, seed=int(rng.integers(2**62))),
            own_colours=_TRUTH[own],
            skipped=tuple(f"{name}: {reason}" for name, reason in failed.items()),
        )

    def _refer(
        self, rng: np.random.Generator, film: ReadableFilm, draw: Draw, shown: Frames, references: Frames
    ) -> tuple[list[Look], bool, dict[str, str]]:
        """Write the references that are no other frames of the film: those are there.

        Returns:
            The looks of all frames, then of all references; whether a reference is of the film itself; and the films
            that could not be read, with the reason.
        """
        look = self.recipe.augmentation.draw(rng)
        looks, own = [look] * len(shown), False
        failed: dict[str, str] = {}
        for wanted, place in zip(draw.references, references, strict=True):
            foreign = self._other(rng, film, place, failed) if wanted.kind == "other" else None
            own = own or foreign is None
            its_look = look if foreign is None else foreign
            if wanted.kind == "first":
                np.copyto(place, shown[0])
            elif wanted.kind != "far" and foreign is None:
                np.copyto(place, shown[int(rng.integers(len(shown)))])
                its_look = look.disturbed(rng, self.recipe.size)
            looks.append(its_look)
        return looks, own, failed

    def _other(
        self, rng: np.random.Generator, film: ReadableFilm, place: NDArray[np.uint8], failed: dict[str, str]
    ) -> Look | None:
        """Write a frame of another film, and draw a look of its own; None where there is none, or none can be read."""
        recipe = self.recipe
        for _ in range(_MOST_OTHERS):
            other = another_film(rng, film, self.films)
            if other is None:
                return None
            try:
                index = int(rng.integers(checked_length(other, 1)))
                crop = draw_crop(rng, other.size, recipe.size, recipe.augmentation.crop_scale)
                mirrored = bool(rng.random() < recipe.augmentation.flip)
                read_frames(other, [index], crop, [place], mirrored)
            except UserError as error:
                failed.setdefault(other.name, str(error))
                continue
            return recipe.augmentation.draw(rng)
        return None


class ValidationClips(Clips):
    """The same clips every time: whole frames cut in the middle, the first of them as the reference."""

    def __init__(self, windows: Sequence[Window], length: int, size: tuple[int, int], where: str) -> None:
        self.windows, self.where = windows, where
        self.layout = Layout(length, 1, size)

    def __len__(self) -> int:
        return len(self.windows)

    def make(self, key: ClipKey, shown: Frames, references: Frames) -> RawClip | UserError:
        """See `Clips.make`."""
        windows = [*self.windows[key.index :], *self.windows[: key.index]][:_MOST_TRIES]
        tries = ((window.film, partial(self._make, window, shown, references)) for window in windows)
        return first_readable(tries, f"validation clip of {self.layout.length} frames", self.where)

    def _make(self, window: Window, shown: Frames, references: Frames) -> RawClip:
        film, indices = window.film, list(range(window.start, window.start + len(shown)))
        crop = centre_crop(film.size, self.layout.size)
        read_frames(film, indices, crop, list(shown))
        np.copyto(references, shown[:1])
        motion = read_motion(film, indices, crop, self.layout.size)
        return _raw_clip(film, Draw(indices, [Wanted("first")]), shown, references, motion)


def another_film(rng: np.random.Generator, film: ReadableFilm, films: Sequence[ReadableFilm]) -> ReadableFilm | None:
    """Draw a film that is not this one: one that the film names as its like, where it does, else any."""
    if hasattr(film, "another"):
        return film.another(rng)
    drawn = films[int(rng.integers(len(films)))]
    if drawn.name != film.name:
        return drawn
    rest = [other for other in films if other.name != film.name]
    return rest[int(rng.integers(len(rest)))] if rest else None


def _raw_clip(film: ReadableFilm, draw: Draw, shown: Frames, references: Frames, motion: Motion) -> RawClip:
    return RawClip(
        rgb=torch.from_numpy(shown).permute(0, 3, 1, 2),
        references=torch.from_numpy(references).permute(0, 3, 1, 2),
        flow=motion.flow,
        visible=motion.visible,
        has_flow=_TRUTH[motion.exact],
        starts_coloured=_TRUTH[draw.references[0].kind == "first"],
        names=(f"{film.name} {draw.indices[0]}..{draw.indices[-1]}",),
    )
