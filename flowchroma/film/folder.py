"""A folder of pictures, one a frame."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.film import check_indices, fit
from flowchroma.film.image_files import largest_reduction, read_image
from flowchroma.film.suffixes import FRAME_SUFFIXES

_SPARSE = 9  # missing frames for one that is there
_ORIENTATION = 0x0112  # of EXIF; from 5 on, sides are exchanged


class FrameFolder:
    """A film kept as pictures in a folder, in the order of the numbers in their names.

    Raises:
        UserError: The folder holds no picture.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.resolve().name
        try:
            files = [
                f for f in self.path.iterdir() if f.suffix.lower() in FRAME_SUFFIXES and not f.name.startswith(".")
            ]
        except OSError as error:
            raise UserError(f"cannot list the folder {self.path}: {error.strerror or error}") from error
        if not files:
            raise UserError(f"no frames in {self.path}: looked for {' '.join(sorted(FRAME_SUFFIXES))} files")
        self.files = sorted(files, key=_natural)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(H, W), that of the first frame that can be read; every other should have it too."""
        for file in self.files:
            try:
                height, width = read_image(file).shape[:2]
            except UserError:
                continue
            return height, width
        read_image(self.files[0])  # says what is wrong
        raise UserError(f"no picture in {self.path} can be read")

    @cached_property
    def depth(self) -> int:
        """Bits of a sample: 16 where the first picture that can be read has more than 8."""
        return 8 if self._first_deep is None or self._first_deep.dtype == np.uint8 else 16

    @cached_property
    def _first_deep(self) -> np.ndarray | None:
        for file in self.files:
            try:
                return read_image(file, deep=True)
            except UserError:
                continue
        return None

    @cached_property
    def notes(self) -> list[str]:
        """Numbers that are missing, and what the pictures' headers say is wrong with them."""
        lines = missing_numbers(self.files)
        sizes = {file: _header_sizes(file) for file in self.files}
        bad = [file for file, size in sizes.items() if not size]
        other = [file for file, size in sizes.items() if size and self.size not in size]
        if self.depth > 8 and self._first_deep is not None and 0 < self._first_deep.max() < 1 << 12:
            lines.append(
                f"{self.files[0]} uses no more than 12 of its 16 bits: if it looks black, scale its values first"
            )
        if bad:
            lines.append(f"{_some(bad)} of {self.path} cannot be read as a picture")
        if other:
            height, width = self.size
            lines.append(
                f"{_some(other)} of {self.path} differs in size from the first: fitted into {width} x {height}"
            )
        return lines

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

    def attempt(self, deep: bool = False, only: Collection[int] | None = None) -> Iterator[np.ndarray | UserError]:
        """See `OpenedFilm.attempt`."""
        for file in self.files if only is None else [self.files[index] for index in sorted(only)]:
            try:
                yield fit(read_image(file, deep=deep and self.depth > 8), self.size)
            except UserError as error:
                yield error

    def _read(self, index: int, reduction: int) -> np.ndarray:
        rgb = read_image(self.files[index], reduction)
        allowed = {self.size, tuple(-(-side // reduction) for side in self.size)}
        if rgb.shape[:2] not in allowed:
            raise UserError(
                f"the frame {self.files[index]} has another size than the first frame of its folder: "
                f"all must have {self.size[1]} x {self.size[0]} pixels"
            )
        return rgb


def missing_numbers(files: Sequence[Path]) -> list[str]:
    """A line where frames are missing, as the numbers at the end of the others' names say."""
    found = [re.search(r"([0-9]+)[^0-9]*$", file.stem) for file in files]
    heads = {file.stem[: match.start()] for file, match in zip(files, found, strict=True) if match}
    if not all(found) or len(heads) != 1:
        return []
    numbers = {int(match[1]) for match in found if match}
    missing = max(numbers) - min(numbers) + 1 - len(numbers)
    if not missing or missing > _SPARSE * len(numbers):  # numbers that count something else
        return []
    first = next(number for number in range(min(numbers), max(numbers)) if number not in numbers)
    digits = len(found[0][1]) if found[0] else 0
    return [f"{files[0].parent} lacks {missing} of its frames, the first being number {first:0{digits}}"]


def _header_sizes(file: Path) -> set[tuple[int, int]]:
    """(H, W) of a picture by its header alone, both ways round where EXIF turns it; none where that cannot be read."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_ORIENTATION, 1) >= 5
    except Exception:  # Pillow raises whatever its parsers run into
        return set()
    return {(height, width), (width, height)} if turned else {(height, width)}


def _some(files: Sequence[Path]) -> str:
    return files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"


def _natural(file: Path) -> tuple[list[str | int], str]:
    """A sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", file.name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], file.name
