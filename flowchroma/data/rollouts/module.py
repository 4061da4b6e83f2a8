"""The DataModule of kept rollouts."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import LightningDataModule

from flowchroma.data.clips.batches import ClipLoader, make_loader
from flowchroma.data.clips.sampler import ClipSampler
from flowchroma.data.rollouts.datasets import RolloutAugmentation, RolloutFrames, TrainingFrames, ValidationFrames
from flowchroma.data.rollouts.span_file import MADE, SpanFile, find_spans, smallest
from flowchroma.data.sources.films import pick_split
from flowchroma.errors import UserError
from flowchroma.weights.files import Fingerprint


class RolloutDataModule(LightningDataModule):
    """Streams frames from the files that `flowchroma.rollouts` writes, as `SignalFrames` or as `TwoSidedFrames`.

    An epoch has each frame of the training films once, as a crop; validation has whole frames, one a batch, of films
    that are held out. Which film is, its name decides, as for `Films`; made films tell it in their names.

    Args:
        root: the folder that holds the files, also in folders of its own.
        size: height and width of crops.
        batch_size: frames in a training batch.
        num_workers: processes that read.
        seed: decides, with the epoch, all that is random.
        val_fraction: part of the films that is held out; at least one, and never all.
        val_frames: validation frames at most, spread over the films.
        augmentation: see `RolloutAugmentation`.

    Attributes:
        made_by: of the system that made the files; None before `setup`.
        trains: the part of a system that they are for; None likewise.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        size: Sequence[int] = (96, 96),
        batch_size: int = 8,
        num_workers: int = 2,
        seed: int = 0,
        val_fraction: float = 0.15,
        val_frames: int = 48,
        augmentation: RolloutAugmentation | None = None,
    ) -> None:
        super().__init__()
        self.root, self.size = root, (int(size[0]), int(size[1]))
        self.batch_size, self.num_workers, self.seed = batch_size, num_workers, seed
        self.val_fraction, self.val_frames = val_fraction, val_frames
        self.augmentation = augmentation or RolloutAugmentation()
        self.made_by: Fingerprint | None = None
        self.trains: str | None = None
        self._train: TrainingFrames | None = None
        self._val: ValidationFrames | None = None
        self._skipped = 0

    def skip_clips(self, count: int) -> None:
        """Leave out the first frames of the next training loader's first epoch, counted over all processes."""
        self._skipped = count

    def setup(self, stage: str | None = None) -> None:
        """List the files; a `UserError` where there are none, or too small ones, or of one film alone."""
        if self._train is not None:
            return
        spans = find_spans(self.root)
        train, val = (self._split(spans, split) for split in ("train", "val"))
        height, width = smallest(train)
        if self.size[0] > height or self.size[1] > width:
            raise UserError(f"data.size={list(self.size)} is larger than rollouts in {self.root}: {height} x {width}")
        self.made_by, self.trains = spans[0].made_by, spans[0].trains
        self._train = TrainingFrames(train, self.size, self.augmentation)
        self._val = ValidationFrames(val, self.val_frames)

    def train_dataloader(self) -> ClipLoader:
        """Batches of varied crops; `loader.sampler.set_epoch` chooses the epoch."""
        self.setup("fit")
        assert self._train is not None
        sampler = ClipSampler(len(self._train), self.seed)
        sampler.skip(self._skipped)
        self._skipped = 0
        return self._loader(self._train, sampler, self.batch_size)

    def val_dataloader(self) -> ClipLoader:
        """The same frames every time."""
        self.setup("validate")
        assert self._val is not None
        sampler = ClipSampler(len(self._val), self.seed, train=False)
        if len(self._val) < sampler.world_size:
            raise UserError(
                f"{len(self._val)} validation frames cannot be shared by {sampler.world_size} processes: set"
                " data.val_frames higher, or use fewer processes"
            )
        return self._loader(self._val, sampler, 1)

    def _loader(self, frames: RolloutFrames, sampler: ClipSampler, batch_size: int) -> ClipLoader:
        return make_loader(frames, sampler, batch_size, self.num_workers, self.seed)

    def _split(self, spans: Sequence[SpanFile], split: str) -> list[SpanFile]:
        films = dict.fromkeys(span.film for span in spans)
        names = {name for name in films if name.startswith(f"{MADE}/{split}/")}
        names |= set(pick_split([name for name in films if not name.startswith(f"{MADE}/")], split, self.val_fraction))
        if not names:
            raise UserError(f"rollouts in {self.root} are of {len(films)} film: make some of others, to hold one out")
        return [span for span in spans if span.film in names]
