"""The DataModule: batches of clips from sources of films."""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule

from flowchroma.data.clips.augmentation import Augmentation
from flowchroma.data.clips.batches import BatchedClips, ClipLoader, make_loader, to_clip
from flowchroma.data.clips.buffers import SharedBuffers
from flowchroma.data.clips.datasets import ClipDataset, FilmGroup, TrainingClips, ValidationClips
from flowchroma.data.clips.raw import RawClip
from flowchroma.data.clips.recipe import Recipe
from flowchroma.data.clips.sampler import ClipSampler
from flowchroma.data.clips.windows import plan_windows
from flowchroma.data.sources.named import NamedFilms
from flowchroma.data.sources.source import Source
from flowchroma.errors import UserError
from flowchroma.film.film import Film

_log = logging.getLogger(__name__)

Root = str | Path | None

_BUFFERS = 6  # of a worker: one being filled, two in the queue, the others in use by the main process


class ClipDataModule(LightningDataModule):
    """Streams clips of T frames from any number of sources. The disk is read in `setup`, and not before.

    The trainer needs `use_distributed_sampler=False`: `ClipSampler` gives each process its share already.

    Args:
        sources: by name. One that reads a folder may be given as a function, which is then called with `root=`.
        root: that folder; or one for each source, by name, and sources whose folder is None are then left out.
        clip_length: T, frames in a training clip.
        size: height and width of all clips.
        batch_size: clips in a batch.
        num_workers: processes that read.
        seed: decides, with the epoch, all that is random.
        val_length: frames in a validation clip.
        val_clips: validation clips at most, spread over the films.
        stride: see `Recipe`.
        reference: see `Recipe`.
        max_gap: see `Recipe`.
        references: see `Recipe`; a validation clip has one.
        augmentation: see `Augmentation`.

    Attributes:
        skipped: how often each film, by name, could not be read; a warning is given at the first time.
    """

    def __init__(
        self,
        sources: Mapping[str, Source | Callable[..., Source] | None],
        *,
        root: Root | Mapping[str, Root] = None,
        clip_length: int = 4,
        size: Sequence[int] = (224, 224),
        batch_size: int = 4,
        num_workers: int = 2,
        seed: int = 0,
        val_length: int = 8,
        val_clips: int = 32,
        stride: Sequence[int] = (1, 2),
        reference: Mapping[str, float] | None = None,
        max_gap: int | None = None,
        references: int = 1,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.sources, self.root = dict(sources), root
        self.clip_length, self.size = clip_length, (int(size[0]), int(size[1]))
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.val_length, self.val_clips = val_length, val_clips
        self.stride, self.reference, self.max_gap = stride, reference, max_gap
        self.references = references
        self.augmentation = augmentation or Augmentation()
        self.skipped: dict[str, int] = {}
        self._train: TrainingClips | None = None
        self._val: ValidationClips | None = None
        self._skipped = 0

    def skip_clips(self, count: int) -> None:
        """Leave out the first clips of the next training loader's first epoch, counted over all processes."""
        self._skipped = count

    def setup(self, stage: str | None = None) -> None:
        """List the films of the sources; a `UserError` where one has none, with what was searched for and where."""
        sources = self.open_sources()
        if stage in (None, "fit") and self._train is None:
            self._train = self._training_clips(sources)
        if self._val is None:
            self._val = self._validation_clips(sources)

    def train_dataloader(self) -> ClipLoader:
        """Batches of augmented clips; `loader.sampler.set_epoch` chooses the epoch."""
        if self._train is None:
            self.setup("fit")
        assert self._train is not None
        loader = self._loader(self._train, train=True)
        loader.sampler.skip(self._skipped)  # type: ignore[attr-defined]
        self._skipped = 0
        return loader

    def val_dataloader(self) -> ClipLoader:
        """Batches of the same clips every time."""
        if self._val is None:
            self.setup("validate")
        assert self._val is not None
        return self._loader(self._val, train=False)

    def test_films(self) -> tuple[list[Film], int]:
        """Whole films for evaluation, and how many the sources' lists name, of which some may not exist."""
        films: list[Film] = []
        listed = 0
        for source in self.open_sources():
            found = source.films("test")
            films += found
            named = source.names if isinstance(source, NamedFilms) else None
            listed += len(named or found)
        return films, listed

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Convert a `RawClip` to a `Clip`, and report the films that were skipped in its place."""
        if not isinstance(batch, RawClip):
            return batch
        for entry in batch.skipped:
            self._report(entry)
        return to_clip(batch)

    def _report(self, entry: str) -> None:
        name, _, reason = entry.partition(": ")
        if name not in self.skipped:
            _log.warning("skipping %s: %s", name, reason)
        self.skipped[name] = self.skipped.get(name, 0) + 1

    def open_sources(self) -> list[Source]:
        """Build the sources, without those whose root is None; a `UserError` where none is left."""
        found: list[Source] = []
        for name, source in self.sources.items():
            if source is None:
                continue
            if not callable(source):
                found.append(source)
                continue
            root = self.root.get(name) if isinstance(self.root, Mapping) else self.root
            if root is not None or not isinstance(self.root, Mapping):
                found.append(source(root=root))
        if not found:
            options = " or ".join(f"data.root.{name}" for name in self.sources) or "data.sources"
            raise UserError(f"there is no source of data: set {options}")
        return found

    def _training_clips(self, sources: Sequence[Source]) -> TrainingClips:
        extra = {} if self.reference is None else {"reference": self.reference}
        recipe = Recipe(
            self.clip_length,
            self.size,
            self.stride,
            max_gap=self.max_gap,
            references=self.references,
            augmentation=self.augmentation,
            **extra,
        )
        films = [source.films("train") for source in sources]
        lengths = [source.epoch_length(len(of_source)) for source, of_source in zip(sources, films, strict=True)]
        total = sum(source.weight for source in sources)
        shares = [round(sum(lengths) * source.weight / total) for source in sources]
        groups = [FilmGroup(of_source, share) for of_source, share in zip(films, shares, strict=True)]
        return TrainingClips(groups, recipe, _where(sources))

    def _validation_clips(self, sources: Sequence[Source]) -> ValidationClips:
        films = [source.films("val") for source in sources]
        plan = plan_windows(films, self.val_length, lambda name, error: self._report(f"{name}: {error}"))
        windows = list(islice(plan, self.val_clips))
        if not windows:
            count = sum(map(len, films))
            raise UserError(
                f"none of the {count} validation films in {_where(sources)} is whole and has {self.val_length} frames:"
                " set data.val_length lower, or mend the films"
            )
        return ValidationClips(windows, self.val_length, self.size, _where(sources))

    def _buffers(self, clips: ClipDataset) -> SharedBuffers | None:
        try:
            size = clips.layout.bytes_of(self.batch_size)
            return SharedBuffers(self.num_workers * _BUFFERS, size) if self.num_workers else None
        except OSError:  # more than the machine can reserve; batches are then sent as torch does
            return None

    def _loader(self, clips: ClipDataset, train: bool) -> ClipLoader:
        sampler = ClipSampler(len(clips), self.seed, train)
        if not train and len(clips) < sampler.world_size:
            raise UserError(
                f"{len(clips)} validation clips cannot be shared by {sampler.world_size} processes: set data.val_clips"
                " higher or data.val_length lower, or use fewer processes"
            )
        return make_loader(
            BatchedClips(clips, self._buffers(clips)), sampler, self.batch_size, self.num_workers, self.seed
        )


def _where(sources: Sequence[Source]) -> str:
    return ", ".join(source.where for source in sources)
