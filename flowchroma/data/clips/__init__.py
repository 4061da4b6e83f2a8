"""Clips of films in batches: which frames and references, how they are cropped and augmented, read and sent.

`recipe` draws the frames of training clips, `windows` chooses those of validation, `sampler` orders the clips.
`datasets` makes a clip, by `reading` and `geometry`. `batches` stacks clips in memory shared with workers (`buffers`),
augments them (`augmentation`) and converts them to CIELAB on the training device.
"""

from flowchroma.data.clips.augmentation import Augmentation
from flowchroma.data.clips.batches import BatchedClips, ClipLoader, collate, to_clip
from flowchroma.data.clips.datasets import ClipDataset, ClipWindow, FilmGroup, TrainingClips, ValidationClips
from flowchroma.data.clips.raw import ClipVariation, RawClip
from flowchroma.data.clips.recipe import Recipe
from flowchroma.data.clips.sampler import ClipKey, ClipSampler
from flowchroma.data.clips.windows import plan_windows

__all__ = [
    "Augmentation",
    "BatchedClips",
    "ClipDataset",
    "ClipKey",
    "ClipLoader",
    "ClipSampler",
    "ClipVariation",
    "ClipWindow",
    "FilmGroup",
    "RawClip",
    "Recipe",
    "TrainingClips",
    "ValidationClips",
    "collate",
    "plan_windows",
    "to_clip",
]
