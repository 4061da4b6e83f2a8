"""Clips to train and validate on, streamed from films on disk or made on the fly."""

from flowchroma.data.archives import Archive
from flowchroma.data.augmentation import Augmentation
from flowchroma.data.batches import collate, to_clip
from flowchroma.data.films import Films
from flowchroma.data.folders import FrameFolders
from flowchroma.data.images import Images, StillFilm
from flowchroma.data.module import ClipDataModule
from flowchroma.data.named import NamedFilms
from flowchroma.data.sample import Sample, SampleFilm
from flowchroma.data.sampler import ClipKey, ClipSampler
from flowchroma.data.shards import Shards
from flowchroma.data.source import ReadableFilm, Source

__all__ = [
    "Archive",
    "Augmentation",
    "ClipDataModule",
    "ClipKey",
    "ClipSampler",
    "Films",
    "FrameFolders",
    "Images",
    "NamedFilms",
    "ReadableFilm",
    "Sample",
    "SampleFilm",
    "Shards",
    "Source",
    "StillFilm",
    "collate",
    "to_clip",
]
