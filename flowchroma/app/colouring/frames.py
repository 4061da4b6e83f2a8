"""The frames of a film, read in order, from any one on."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from flowchroma.colorizers.painter import to_tensor
from flowchroma.film import HeldFilm, OpenedFilm


class FrameReader:
    """Gives parts of a film, each behind the one before.

    Args:
        film: is read from its beginning; what is not asked for is decoded and left out.
        strict: stop at a frame that cannot be read.
        deep: read 16 bits where the film has them.
        device: that frames are put on.
        quiet: say nothing of damaged frames, as another reader does.
    """

    def __init__(self, film: OpenedFilm, strict: bool, deep: bool, device: torch.device, quiet: bool = False) -> None:
        self.film = HeldFilm(film, strict=strict, deep=deep, quiet=quiet)
        self._device = device
        self._frames: Iterator[np.ndarray] = iter(())
        self._next: int | None = None

    def read(self, start: int, stop: int) -> Iterator[Tensor]:
        """Frames [start, stop): (1, 3, H, W) uint8 RGB, or float in [0, 1] for those of more than 8 bits."""
        if self._next is None or start < self._next:
            self._frames, self._next = iter(self.film), 0
        for rgb in self._frames:
            self._next += 1
            if self._next > start:
                yield to_tensor(rgb, self._device)
            if self._next >= stop:
                return
