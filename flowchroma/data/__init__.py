"""Data for training, validation and evaluation: sources of films, clips of them in batches, and the DataModule.

What is exported here is what configurations name, and what a source of one's own needs.
"""

from flowchroma.data.clips.augmentation import Augmentation
from flowchroma.data.made.sample import Sample, SampleFilm
from flowchroma.data.module import ClipDataModule
from flowchroma.data.prepare import Archive
from flowchroma.data.rollouts.datasets import RolloutAugmentation
from flowchroma.data.rollouts.module import RolloutDataModule
from flowchroma.data.sources.films import Films
from flowchroma.data.sources.frame_folders import FrameFolders
from flowchroma.data.sources.named import NamedFilms
from flowchroma.data.sources.picture_folders import Images
from flowchroma.data.sources.shards import Shards
from flowchroma.data.sources.source import Source
