"""The data sets: from a key to a clip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from flowchroma.data.augmentation import Look, disturb, gather
from flowchroma.data.geometry import centre_crop, draw_crop, mirror, mirror_flow
from flowchroma.data.reading import Motion, checked_length, first_readable, knows_flow, read_frames, read_motion
from flowchroma.data.recipe import Draw, Recipe, Wanted
from flowchroma.data.sampler import ClipKey
from flowchroma.data.source import ReadableFilm
from flowchroma.errors import UserError
from flowchroma.types import Looks, RawClip

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


class TrainingClips(Dataset[RawClip | UserError]):
    """Varied clips, each a pure function of its key; what cannot be read is replaced by a clip of another film."""

    def __init__(self, pools: Sequence[Pool], recipe: Recipe, where: str) -> None:
        self.pools, self.recipe, self.where = pools, recipe, where
        self.films = [film for pool in pools for film in pool.films]

    def __len__(self) -> int:
        return sum(pool.clips for pool in self.pools)

    def __getitem__(self, key: ClipKey) -> RawClip | UserError:
        films = enumerate(self._candidates(key))
        tries = ((film, partial(self._make, film, (key.seed, key.index, k))) for k, film in films)
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

    def _make(self, film: ReadableFilm, seed: tuple[int, int, int]) -> RawClip:
        rng, recipe = np.random.default_rng(seed), self.recipe
        draw = recipe.draw(rng, checked_length(film, recipe.length), knows_flow(film))
        crop = draw_crop(rng, film.size, recipe.size, recipe.augmentation.crop_scale)
        frames = read_frames(film, [*draw.indices, *draw.far], crop, recipe.size)
        motion = read_motion(film, draw.indices, crop, recipe.size)
        if rng.random() < recipe.augmentation.flip:
            frames = mirror(frames)
            motion = Motion(mirror_flow(motion.flow), mirror(motion.visible), True) if motion.exact else motion
        look = recipe.augmentation.draw(rng)
        shown, far = frames[: recipe.length], iter(frames[recipe.length :])
        failed: dict[str, str] = {}
        references, looks, own = [], [look] * recipe.length, False
        for wanted in draw.references:
            other = self._other(rng, film, failed) if wanted.kind == "other" else None
            own = own or other is None
            reference, its_look = (_own(rng, wanted, shown, far), look) if other is None else other
            references.append(reference)
            looks.append(its_look)
        grain = int(rng.integers(2**62))
        return replace(
            _raw_clip(film, draw, shown, torch.stack(references), motion, gather(looks, grain)),
            own_colours=torch.tensor(own),
            skipped=tuple(f"{name}: {reason}" for name, reason in failed.items()),
        )

    def _other(
        self, rng: np.random.Generator, film: ReadableFilm, failed: dict[str, str]
    ) -> tuple[Tensor, Look] | None:
        """A frame of another film, (3, H, W), and a look of its own; None where there is none, or none can be read."""
        recipe = self.recipe
        for _ in range(_MOST_OTHERS):
            other = another_film(rng, film, self.films)
            if other is None:
                return None
            try:
                index = int(rng.integers(checked_length(other, 1)))
                crop = draw_crop(rng, other.size, recipe.size, recipe.augmentation.crop_scale)
                frame = read_frames(other, [index], crop, recipe.size)[0]
            except UserError as error:
                failed.setdefault(other.name, str(error))
                continue
            frame = mirror(frame) if rng.random() < recipe.augmentation.flip else frame
            return frame, recipe.augmentation.draw(rng)
        return None


class ValidationClips(Dataset[RawClip | UserError]):
    """The same clips every time: whole frames cut in the middle, the first of them as the reference."""

    def __init__(self, windows: Sequence[Window], length: int, size: tuple[int, int], where: str) -> None:
        self.windows, self.length, self.size, self.where = windows, length, size, where

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, key: ClipKey) -> RawClip | UserError:
        windows = [*self.windows[key.index :], *self.windows[: key.index]][:_MOST_TRIES]
        tries = ((window.film, partial(self._make, window)) for window in windows)
        return first_readable(tries, f"validation clip of {self.length} frames", self.where)

    def _make(self, window: Window) -> RawClip:
        film, indices = window.film, list(range(window.start, window.start + self.length))
        crop = centre_crop(film.size, self.size)
        frames = read_frames(film, indices, crop, self.size)
        motion = read_motion(film, indices, crop, self.size)
        return _raw_clip(film, Draw(indices, [Wanted("first")]), frames, frames[:1], motion)


def another_film(rng: np.random.Generator, film: ReadableFilm, films: Sequence[ReadableFilm]) -> ReadableFilm | None:
    """Draw a film that is not this one: one that the film names as its like, where it does, else any."""
    if hasattr(film, "another"):
        return film.another(rng)
    drawn = films[int(rng.integers(len(films)))]
    if drawn.name != film.name:
        return drawn
    rest = [other for other in films if other.name != film.name]
    return rest[int(rng.integers(len(rest)))] if rest else None


def _own(rng: np.random.Generator, wanted: Wanted, shown: Tensor, far: Iterator[Tensor]) -> Tensor:
    """A reference of the clip's own film, (3, H, W)."""
    if wanted.kind == "first":
        return shown[0]
    if wanted.kind == "far":
        return next(far)
    return _to_bytes(disturb(shown[int(rng.integers(len(shown)))].float() / 255, rng))


def _raw_clip(
    film: ReadableFilm, draw: Draw, frames: Tensor, references: Tensor, motion: Motion, looks: Looks | None = None
) -> RawClip:
    return RawClip(
        rgb=frames,
        references=references,
        flow=motion.flow,
        visible=motion.visible,
        has_flow=torch.tensor(motion.exact),
        starts_coloured=torch.tensor(draw.references[0].kind == "first"),
        names=(f"{film.name} {draw.indices[0]}..{draw.indices[-1]}",),
        looks=looks,
    )


def _to_bytes(rgb: Tensor) -> Tensor:
    return (rgb * 255).round().clamp(0, 255).byte()
