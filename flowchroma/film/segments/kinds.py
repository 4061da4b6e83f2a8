"""What a segment is made of, and a film of its segments: encoded picture, or PNG frames."""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flowchroma.film.encoder import Encoder
from flowchroma.film.encoding_settings import Settings
from flowchroma.film.film import OpenedFilm
from flowchroma.film.outputs import FilmFile, FolderWriter, tell_of_folder
from flowchroma.film.picture import Part
from flowchroma.film.segments.space import require_space

_STEM = "picture"
_UNITS = {"h264": (0x1F, 0, (7, 8)), "hevc": (0x3F, 1, (32, 33, 34))}  # mask, shift, types of parameter sets
Kept = tuple[Path, dict[str, Any]]  # a segment's folder, and what is kept beside its files


class SegmentWriter(Protocol):
    """Takes the frames of a segment."""

    def write(self, rgb: np.ndarray) -> None:
        """Append a frame."""

    def finish(self) -> dict[str, Any]:
        """Complete it; what is to be kept beside its files."""

    def close(self) -> None:
        """Let go of the files, finished or not."""


class Kind(Protocol):
    """How an output is kept in segments."""

    deep: bool

    def open(self, folder: Path, start: int) -> SegmentWriter:
        """Write a segment's files, from frame `start` on."""

    def fits(self, kept: dict[str, Any]) -> bool:
        """Whether a segment can be joined with those written now."""

    def join(self, segments: Sequence[Kept], side: Path) -> Path:
        """Put a film together in a folder."""


class Pictures:
    """Segments of a film's file: groups of pictures that refer to no others.

    Args:
        side: Folder for the files of its proof.
        container: FFmpeg's name of the file's kind.
        like: The film that frames are made from.
        settings: How they are encoded.
        span: Frames of the whole output.
    """

    def __init__(
        self, side: Path, container: str, like: OpenedFilm, settings: Settings, span: tuple[int, int] | None
    ) -> None:
        self._file = FilmFile(side, container, like, settings, span)
        self._size = like.size
        self.deep = self._file.deep
        self._codec = _codec(self._file.model)

    def open(self, folder: Path, start: int) -> "_PictureWriter":
        """See `Kind`."""
        return _PictureWriter(self._file.encoder(folder / _STEM, self._size, start))

    def fits(self, kept: dict[str, Any]) -> bool:
        """See `Kind`. A decoder is told of the codec once, for all segments."""
        return kept.get("codec") == self._codec

    def join(self, segments: Sequence[Kept], side: Path) -> Path:
        """See `Kind`."""
        parts = [
            Part(folder / kept["picture"], kept["header"], kept["first"], kept["count"], kept["delay"])
            for folder, kept in segments
        ]
        require_space(side, sum(part.path.stat().st_size for part in parts))
        return self._file.put_together(self._file.model.picture(*parts), side)


class _PictureWriter:
    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.write = encoder.write

    def finish(self) -> dict[str, Any]:
        self._encoder.finish()
        self._encoder.close()
        part = self._encoder.part
        return {
            "codec": _codec(self._encoder), "picture": part.path.name, "header": part.header,
            "first": part.first, "count": part.count, "delay": part.delay,
        }  # fmt: skip

    def close(self) -> None:
        self._encoder.close()
        self._encoder.release()


class Frames:
    """Segments of a folder of PNG frames."""

    def __init__(self, like: OpenedFilm, deep: bool) -> None:
        self._like = like
        self.deep = deep and like.depth > 8
        tell_of_folder(like, self.deep)

    def open(self, folder: Path, start: int) -> "_FramesWriter":
        """See `Kind`."""
        return _FramesWriter(folder, self._like, self.deep, start)

    def fits(self, kept: dict[str, Any]) -> bool:
        """See `Kind`."""
        return kept.get("codec") == "png"

    def join(self, segments: Sequence[Kept], side: Path) -> Path:
        """See `Kind`. Frames stay with their segments too, until the film is in its place."""
        made = side / "film"
        made.mkdir()
        for folder, kept in segments:
            for name in kept["files"]:
                _link(folder / name, made / name)
        return made


class _FramesWriter(FolderWriter):
    def finish(self) -> dict[str, Any]:  # type: ignore[override]
        return {"codec": "png"}


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # a system without links
        shutil.copyfile(file, place)


def _codec(encoder: Encoder) -> str:
    """What a decoder must know: the parameter sets, without what the encoder says of itself."""
    suffix = encoder.path.suffix[1:]
    mask, shift, kinds = _UNITS[suffix]
    units = [unit for unit in re.split(rb"\x00\x00\x00?\x01", encoder.header) if unit]
    told = [unit for unit in units if (unit[0] >> shift) & mask in kinds]
    return f"{suffix}-{hashlib.sha256(b'|'.join(told)).hexdigest()[:16]}"
