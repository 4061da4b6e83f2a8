"""What every film offers, and how one is opened."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from flowchroma.errors import UserError


class Film(Protocol):
    """Frames in display order, at random or one after the other: of a file, a folder, a shard, or generated."""

    @property
    def name(self) -> str:
        """What logs call it, such as the folder's name, or the file's without its suffix."""
        ...

    @property
    def path(self) -> Path | None:
        """Its file or folder; None where it has none of its own."""
        ...

    @property
    def files(self) -> Sequence[Path]:
        """The picture of each frame, where it is a folder of pictures; else empty."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of a frame as displayed, rotation applied."""
        ...

    def __len__(self) -> int:
        """The exact number of frames."""
        ...

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """Decode some frames.

        Args:
            indices: 0-based, in any order, repeats allowed.
            at_least: (h, w) that is enough: a reader may then decode at a fraction of the size, as long as neither
                side falls below it.

        Returns:
            (H, W, 3) uint8 RGB frames in the order asked for.

        Raises:
            UserError: A frame cannot be decoded, or there is none of that number.
        """
        ...

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every frame in order, (H, W, 3) uint8 RGB; a few are in memory at a time."""
        ...


@runtime_checkable
class HasExactFlow(Protocol):
    """A film whose motion is known exactly, since it is generated."""

    # No part of `Film`: a check at run time would evaluate the properties of a film on disk, and so open it.

    def read_flow(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Give the motion from each of the frames to the one before it.

        Returns:
            Flow (N, 2, H, W) in pixels, (x, y), backward, and visible (N, 1, H, W), bool: the pixel is in the frame
            before as well. Frame 0 has no visible pixel.

        Raises:
            UserError: There is no frame of that number.
        """
        ...


def open_film(path: str | Path) -> Film:
    """Open a folder of frames or a video file.

    Raises:
        UserError: There is nothing of that name, or it is no film.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        from flowchroma.film.folder import FrameFolder

        return FrameFolder(path)
    if not path.exists():
        raise UserError(f"no film at {path}: looked for a video file or a folder of frames; check the path")
    from flowchroma.film.video import VideoFile

    return VideoFile(path)


def check_indices(name: object, indices: Sequence[int], length: int) -> None:
    """Refuse frame numbers outside [0, length).

    Raises:
        UserError: One of them is.
    """
    for index in indices:
        if not 0 <= index < length:
            raise UserError(f"{name} has no frame {index}: its frames are 0 to {length - 1}")
