"""Clips to train and validate on, streamed from films on disk or made on the fly."""

from flowchroma.data.clips.augmentation import Augmentation
from flowchroma.data.clips.batches import collate, to_clip
from flowchroma.data.clips.sampler import ClipKey, ClipSampler
from flowchroma.data.made.sample import Sample, SampleFilm
from flowchroma.data.module import ClipDataModule
from flowchroma.data.prepare.archives import Archive
from flowchroma.data.sources.films import Films
from flowchroma.data.sources.frame_folders import FrameFolders
from flowchroma.data.sources.named import NamedFilms
from flowchroma.data.sources.picture_folders import Images, StillFilm
from flowchroma.data.sources.shards import Shards
from flowchroma.data.sources.source import ReadableFilm, Source

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
