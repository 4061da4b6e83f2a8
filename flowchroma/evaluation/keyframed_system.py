"""The system on one clip, with keyframes on both sides of a frame."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.colorizers.shot_painter import ShotPainter
from flowchroma.errors import UserError
from flowchroma.evaluation.protocol import Protocol
from flowchroma.film import Film
from flowchroma.models import FlowChroma


class KeyframedSystem:
    """The system on one clip, which is taken as one shot; in the place of a `Painter`.

    Args:
        system: the three networks.
        film: the clip, which is read a second time for the way back.
        protocol: says which frames are keyframes, and in which directions colour goes.
        device: where frames are.
        folder: gets a folder of what was found on the way back, until `close`.
    """

    def __init__(self, system: FlowChroma, film: Film, protocol: Protocol, device: torch.device, folder: Path) -> None:
        self._system, self._film, self._protocol, self._folder = system, film, protocol, folder
        self._frames = protocol.originals(film, device)
        self._read = 0
        self._files: EstimateFiles | None = None
        self._temporary: TemporaryDirectory | None = None

    def start(self, *references: Tensor) -> None:
        """Take all keyframes, (1, 3, H, W) uint8, in the order of their numbers."""
        both = self._protocol.directions == "both"
        if both:
            self._temporary = TemporaryDirectory(prefix="estimates-", dir=self._folder)
            self._files = EstimateFiles(Path(self._temporary.name))
        self._painter = ShotPainter(
            self._system,
            self._protocol.size,
            start=0,
            stop=self._protocol.length(len(self._film)),
            keyframes=dict(zip(self._protocol.given(self._film), references, strict=True)),
            references=[],
            backward_frames=self._backward_frames if both else None,
            files=self._files,
        )

    def observe(self, rgb: Tensor) -> None:
        """Take a keyframe when it comes."""
        self.paint(rgb)

    def paint(self, rgb: Tensor) -> Tensor:
        """Colour the next frame, (1, 3, H, W) uint8."""
        number = self._painter.next
        painted, _ = self._painter.paint(rgb)
        if self._files is not None:
            self._files.drop(number)
        return painted

    def close(self) -> None:
        """Remove what was kept."""
        if self._temporary is not None:
            self._temporary.cleanup()

    def _backward_frames(self, first: int, stop: int) -> Iterator[Tensor]:
        """The frames from `first` up to `stop`, read on from where the last call ended."""
        for number, frame in enumerate(islice(self._frames, first - self._read, stop - self._read), first):
            self._read = number + 1
            yield frame
        if self._read < stop:
            raise UserError(f"{self._film.name} ended before frame {self._read}: mend the film")
