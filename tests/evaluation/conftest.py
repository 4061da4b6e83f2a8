from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def frame(index: int, size=(48, 64), seed: int = 0) -> np.ndarray:
    """A coloured texture that moves by a pixel a frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (size[0] // 4 + 2, size[1] // 4 + 8, 3), dtype=np.uint8)
    big = np.asarray(Image.fromarray(coarse).resize((coarse.shape[1] * 4, coarse.shape[0] * 4), Image.BILINEAR))
    return big[: size[0], index : index + size[1]]


class Clip:
    """A film in memory."""

    path, files = None, ()

    def __init__(self, name="clip", frames=6, size=(48, 64), seed=0):
        self.name, self.size, self.seed, self._frames = name, size, seed, frames

    def __len__(self):
        return self._frames

    def __iter__(self):
        return (frame(i, self.size, self.seed) for i in range(self._frames))

    def read(self, indices, at_least=None):
        return [frame(i, self.size, self.seed) for i in indices]


@pytest.fixture
def clip():
    return Clip


@pytest.fixture
def write_clip():
    """Write a folder of PNG frames, changed by `change(index, rgb)`; numbers in `leave_out` get none."""

    def write(
        folder: Path, frames=6, size=(48, 64), seed=0, change=lambda i, rgb: rgb, leave_out=(), name="{:05d}.png"
    ):
        folder.mkdir(parents=True)
        for i in set(range(frames)) - set(leave_out):
            Image.fromarray(change(i, frame(i, size, seed))).save(folder / name.format(i))
        return folder

    return write
