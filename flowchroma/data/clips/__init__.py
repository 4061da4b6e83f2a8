"""Clips of films in batches: which frames and references, how they are cropped and augmented, read and sent.

`recipe` draws the frames of training clips, `windows` chooses those of validation, `sampler` orders the clips.
`datasets` makes a clip, by `reading` and `geometry`. `batches` stacks clips in memory shared with workers (`buffers`),
augments them (`augmentation`) and converts them to CIELAB on the training device.
"""
