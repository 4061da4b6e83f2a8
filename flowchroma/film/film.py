"""What every film offers, and how one is opened."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from flowchroma.errors import UserError


class Mended(NamedTuple):
    """A frame of which a part was damaged, and which the decoder filled from its neighbours."""

    rgb: np.ndarray
    error: UserError  # says so


class FileState(NamedTuple):
    """What changes with the files of a film."""

    size: int  # bytes of all of them; 0 where it has none
    modified: int  # ns since 1970, of the latest; 0 likewise

    @staticmethod
    def of(film: "Film") -> "FileState":
        """That of its file, or of all its pictures together.

        Raises:
            UserError: They cannot be read.
        """
        files = list(film.files) or ([film.path] if film.path else [])
        try:
            states = [file.stat() for file in files]
        except OSError as error:
            raise UserError(f"cannot read {film.path}: {error.strerror or error}; check the path") from error
        latest = max((state.st_mtime_ns for state in states), default=0)
        return FileState(sum(state.st_size for state in states), latest)


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


class OpenedFilm(Film, Protocol):
    """A film of a file or a folder, which may be damaged, and of more than 8 bits a sample."""

    def attempt(
        self, deep: bool = False, only: Collection[int] | None = None
    ) -> Iterator[np.ndarray | Mended | UserError]:
        """Every frame in order, fitted into the film's size, or in its place why it cannot be read.

        Args:
            deep: Give uint16 RGB where samples have more than 8 bits.
            only: Numbers of the frames to give; None for all.
        """
        ...

    @property
    def depth(self) -> int:
        """Bits of a sample."""
        ...

    @property
    def notes(self) -> list[str]:
        """A line for each thing about the film that somebody who works on it should know."""
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


def check_indices(name: object, indices: Sequence[int], length: int) -> None:
    """Refuse frame numbers outside [0, length).

    Raises:
        UserError: One of them is.
    """
    for index in indices:
        if not 0 <= index < length:
            raise UserError(f"{name} has no frame {index}: its frames are 0 to {length - 1}")


def fit(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a picture (h, w, 3) into `size` (H, W), its shape kept, between black bars where that differs."""
    if rgb.shape[:2] == size:
        return rgb
    import cv2

    scale = min(size[0] / rgb.shape[0], size[1] / rgb.shape[1])
    height, width = (max(1, min(side, round(scale * own))) for side, own in zip(size, rgb.shape[:2], strict=True))
    canvas = np.zeros((*size, 3), rgb.dtype)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas[top : top + height, left : left + width] = cv2.resize(rgb, (width, height), interpolation=interpolation)
    return canvas
