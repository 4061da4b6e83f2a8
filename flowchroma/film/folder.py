"""A folder of pictures, one a frame."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.film import check_indices
from flowchroma.film.image_files import largest_reduction, read_image

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


class FrameFolder:
    """A film kept as pictures in a folder, in the order of the numbers in their names.

    Raises:
        UserError: The folder holds no picture.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.resolve().name
        try:
            files = [f for f in self.path.iterdir() if f.suffix.lower() in _SUFFIXES and not f.name.startswith(".")]
        except OSError as error:
            raise UserError(f"cannot list the folder {self.path}: {error.strerror or error}") from error
        if not files:
            raise UserError(f"no frames in {self.path}: looked for {' '.join(sorted(_SUFFIXES))} files")
        self.files = sorted(files, key=_natural)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W), that of the first frame; every other must have it too."""
        height, width = read_image(self.files[0]).shape[:2]
        return height, width

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.files)

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `Film.read`. JPEG frames are decoded at 1/2, 1/4 or 1/8 where `at_least` allows it."""
        check_indices(self.path, indices, len(self))
        reduction = 1 if at_least is None else largest_reduction(self.size, at_least)
        frames = {index: self._read(index, reduction) for index in set(indices)}
        return [frames[index] for index in indices]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Every frame in order."""
        return (self._read(index, 1) for index in range(len(self)))

    def _read(self, index: int, reduction: int) -> np.ndarray:
        rgb = read_image(self.files[index], reduction)
        allowed = {self.size, tuple(-(-side // reduction) for side in self.size)}
        if rgb.shape[:2] not in allowed:
            raise UserError(
                f"the frame {self.files[index]} has another size than the first frame of its folder: "
                f"all must have {self.size[1]} x {self.size[0]} pixels"
            )
        return rgb


def _natural(file: Path) -> tuple[list[str | int], str]:
    """A sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", file.name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], file.name
