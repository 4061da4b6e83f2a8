"""A film being written: a file, or a folder of PNG frames."""

import errno
import warnings
from pathlib import Path

import numpy as np
from av.error import FFmpegError

from flowchroma.errors import UserError
from flowchroma.film.cargo import Cargo, left_behind, load
from flowchroma.film.encoder import Encoder
from flowchroma.film.encoding_settings import Settings
from flowchroma.film.film import OpenedFilm
from flowchroma.film.folder import FrameFolder
from flowchroma.film.image_files import write_png
from flowchroma.film.muxer import differences, fallbacks, mux, prove
from flowchroma.film.video import VideoFile

_ERRORS = (FFmpegError, OSError, ValueError)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class VideoWriter:
    """A file: frames are encoded as they come, and put together with all else at the end.

    Args:
        side: Folder of its own.
        container: FFmpeg's name of the kind.
        like: The film that frames were made from.
        settings: How they are encoded.

    Raises:
        UserError: Such a film cannot be written.
    """

    def __init__(self, side: Path, container: str, like: OpenedFilm | None, settings: Settings) -> None:
        self._side, self._container, self._settings = side, container, settings
        self._film = like if isinstance(like, VideoFile) else None
        self._like = like
        self._encoder: Encoder | None = None
        self._cargo: Cargo | None = None
        self._done = False
        self.deep = settings.deep and like is not None and like.depth > 8 and settings.crf != "lossless"
        if like is not None:
            self._prove(like.size)

    def write(self, rgb: np.ndarray) -> None:
        """See `FrameWriter`."""
        if self._encoder is None:
            if self._like is None:
                self._prove((rgb.shape[0], rgb.shape[1]))
            self._encoder = self._new(self._side / f"picture.{self._suffix}", (rgb.shape[0], rgb.shape[1]))
        self._encoder.write(rgb)

    def finish(self) -> Path:
        """See `Output`."""
        if self._encoder is None:
            raise UserError("nothing to write: the film has no frame")
        self._encoder.finish()
        self._done = True
        path = self._side / "film"
        for cargo in fallbacks(self._cargo):
            try:
                mux(path, self._container, self._encoder, cargo)
                reason = differences(path, self._encoder)
            except _ERRORS as error:
                if getattr(error, "errno", None) in _FULL:
                    raise
                reason = str(getattr(error, "strerror", None) or error)
            if not reason:
                return path
            if cargo and (cargo.choices or cargo.attachments):
                warnings.warn(f"what goes with the picture cannot all be written ({reason}): trying less", stacklevel=2)
        raise UserError(f"the film was encoded, and cannot be put together: {reason}")

    def part(self) -> tuple[Path, int] | None:
        """See `Output`."""
        if self._encoder is None:
            return None
        self._encoder.close()
        count = self._encoder.written
        if self._done:
            film = self._side / "film.mkv"
            try:
                mux(film, "matroska", self._encoder, None)
                return film, count
            except _ERRORS:  # as on a full disk
                film.unlink(missing_ok=True)
        return (self._encoder.path, count) if count else None

    def close(self) -> None:
        """See `Output`."""
        if self._encoder:
            self._encoder.close()

    @property
    def _suffix(self) -> str:
        return "hevc" if self.deep else "h264"

    def _new(self, path: Path, size: tuple[int, int]) -> Encoder:
        settings = self._settings
        return Encoder(path, size, self._like, settings.rate, settings.crf, settings.gop, self.deep)

    def _prove(self, size: tuple[int, int]) -> None:
        cargo = load(self._film, self._container) if self._film else None
        try:
            self._cargo = self._proven(size, cargo)
        except UserError:
            if not self.deep:
                raise
            self.deep = False  # a PyAV without x265, or sides that it does not take
            self._cargo = self._proven(size, cargo)
        lines = self._cargo.lines if self._cargo else []
        if self._like is not None and self._like.depth > 8:
            lines = [*lines, _on_depth(self._like, "10-bit H.265" if self.deep else "")]
        for line in lines:
            warnings.warn(line, stacklevel=2)

    def _proven(self, size: tuple[int, int], cargo: Cargo | None) -> Cargo | None:
        try:
            trial = self._new(self._side / f"trial.{self._suffix}", size)
        except _ERRORS as error:
            said = getattr(error, "strerror", None) or error
            raise UserError(f"a film of {size[1]} x {size[0]} pixels cannot be encoded: {said}") from error
        return prove(self._side / "trial", self._container, trial, cargo)


def _on_depth(film: OpenedFilm, kept: str) -> str:
    name = getattr(film, "path", film.name)
    if kept:
        return f"{name} has {film.depth} bits: written as {kept}"
    return f"{name} has {film.depth} bits, of which 8 are kept"


class FolderWriter:
    """PNG frames: 00000.png onwards, or under the names of the frames they were made from."""

    def __init__(self, side: Path, like: OpenedFilm | None, settings: Settings) -> None:
        self.deep = settings.deep and like is not None and like.depth > 8
        self._path = side / "film"
        self._digits = max(5, len(str(len(like) - 1))) if like is not None else 5
        stems = [file.stem for file in like.files] if isinstance(like, FrameFolder) else []
        self._stems = stems if len(set(stems)) == len(stems) else []  # a.jpg and a.png cannot both be a.png
        self._count = 0
        self._path.mkdir()
        for line in left_behind(like) if isinstance(like, VideoFile) else []:
            warnings.warn(line, stacklevel=2)
        if like is not None and like.depth > 8:
            warnings.warn(_on_depth(like, "16-bit PNG" if self.deep else ""), stacklevel=2)

    def write(self, rgb: np.ndarray) -> None:
        """See `FrameWriter`."""
        named = self._count < len(self._stems)
        stem = self._stems[self._count] if named else f"{self._count:0{self._digits}}"
        path = self._path / f"{stem}.png"
        try:
            write_png(path, rgb)
        except OSError:
            path.unlink(missing_ok=True)  # what is kept is whole
            raise
        self._count += 1

    def finish(self) -> Path:
        """See `Output`."""
        return self._path

    def part(self) -> tuple[Path, int] | None:
        """See `Output`."""
        return (self._path, self._count) if self._count else None

    def close(self) -> None:
        """Nothing is open."""
