"""Data for training, validation and evaluation: sources of films, clips of them in batches, and the DataModule.

What is exported here is what configurations name, and what a source of one's own needs.
"""

from flowchroma.data.clips import Augmentation, ClipKey, ClipSampler, collate, to_clip
from flowchroma.data.made import Sample, SampleFilm
from flowchroma.data.module import ClipDataModule
from flowchroma.data.prepare import Archive
from flowchroma.data.sources import Films, FrameFolders, Images, NamedFilms, Shards, Source, StillFilm

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
    "Sample",
    "SampleFilm",
    "Shards",
    "Source",
    "StillFilm",
    "collate",
    "to_clip",
]
