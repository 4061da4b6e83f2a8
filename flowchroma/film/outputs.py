"""What is written of a film: a file, or a folder of PNG frames."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from av.error import FFmpegError

from flowchroma.errors import UserError
from flowchroma.film.encoder import Encoder
from flowchroma.film.encoding_settings import Settings
from flowchroma.film.excerpt import Excerpt
from flowchroma.film.film import OpenedFilm
from flowchroma.film.image_files import write_png
from flowchroma.film.muxer import differences, fallbacks, mux, prove
from flowchroma.film.picture import Picture
from flowchroma.film.streams import OtherStreams, left_behind, load
from flowchroma.film.targets import FULL
from flowchroma.film.video import VideoFile

_ERRORS = (FFmpegError, OSError, ValueError)


class FilmFile:
    """A file that is to be written: proven before its first frame, put together after its last.

    Args:
        side: Folder for the files of the proof.
        container: FFmpeg's name of the kind.
        like: The film that frames are made from.
        settings: How they are encoded.
        span: Numbers of the first frame that is written and of the one after the last; None for all.

    Raises:
        UserError: Such a film cannot be written.
    """

    def __init__(
        self,
        side: Path,
        container: str,
        like: OpenedFilm | None,
        settings: Settings,
        span: tuple[int, int] | None = None,
    ) -> None:
        self._side, self._container, self._settings = side, container, settings
        self._like, self._span = like, span
        self.film = like if isinstance(like, VideoFile) else None
        self._others: OtherStreams | None = None
        self.deep = settings.deep and like is not None and like.depth > 8 and settings.crf != "lossless"
        self.model: Encoder  # of the proof: shows what all encoders for this file share
        if like is not None:
            self.prove(like.size)

    def prove(self, size: tuple[int, int]) -> None:
        """Try the whole of it with a few frames of (H, W).

        Raises:
            UserError: Such a film cannot be written.
        """
        others = load(self.film, self._container, self._span) if self.film else None
        try:
            self._others = self._proven(size, others)
        except UserError:
            if not self.deep:
                raise
            self.deep = False  # a PyAV without x265, or sides that it does not take
            self._others = self._proven(size, others)
        lines = self._others.notices if self._others else []
        if self._like is not None and self._like.depth > 8:
            lines = [*lines, _on_depth(self._like, "10-bit H.265" if self.deep else "")]
        for line in lines:
            warnings.warn(line, stacklevel=2)

    def encoder(self, stem: Path, size: tuple[int, int], first: int = 0) -> Encoder:
        """An encoder of frames of (H, W), from a number on, into a file whose suffix says of what codec."""
        path, settings = stem.with_name(f"{stem.name}.{'hevc' if self.deep else 'h264'}"), self._settings
        return Encoder(path, size, self._like, settings.rate, settings.crf, settings.gop, self.deep, first)

    def put_together(self, picture: Picture, side: Path) -> Path:
        """Write the file from its picture, with all that goes with it, and check it.

        Returns:
            Where it lies in the folder `side`.

        Raises:
            UserError: It did not come out as meant.
            FFmpegError, OSError: The disk is full.
        """
        path = side / "film"
        for others in fallbacks(self._others):
            try:
                mux(path, self._container, picture, others)
                reason = differences(path, picture)
            except _ERRORS as error:
                if getattr(error, "errno", None) in FULL:
                    raise
                reason = str(getattr(error, "strerror", None) or error)
            if not reason:
                return path
            if others and (others.choices or others.attachments):
                warnings.warn(f"what goes with the picture cannot all be written ({reason}): trying less", stacklevel=2)
        raise UserError(f"the film was encoded, and cannot be put together: {reason}")

    def _proven(self, size: tuple[int, int], others: OtherStreams | None) -> OtherStreams | None:
        try:
            self.model = self.encoder(self._side / "trial", size, self._span[0] if self._span else 0)
        except _ERRORS as error:
            said = getattr(error, "strerror", None) or error
            raise UserError(f"a film of {size[1]} x {size[0]} pixels cannot be encoded: {said}") from error
        return prove(self._side / "trial", self._container, self.model, others)


class VideoWriter:
    """A file: frames are encoded as they come, and put together with all else at the end; see `FilmFile`."""

    def __init__(self, side: Path, container: str, like: OpenedFilm | None, settings: Settings) -> None:
        self._side, self._like = side, like
        self._file = FilmFile(side, container, like, settings)
        self._encoder: Encoder | None = None
        self._done = False

    @property
    def deep(self) -> bool:
        """See `FrameWriter`."""
        return self._file.deep

    def write(self, rgb: np.ndarray) -> None:
        """See `FrameWriter`."""
        if self._encoder is None:
            size = (rgb.shape[0], rgb.shape[1])
            if self._like is None:
                self._file.prove(size)
            self._encoder = self._file.encoder(self._side / "picture", size)
        self._encoder.write(rgb)

    def finish(self) -> Path:
        """See `Output`."""
        if self._encoder is None:
            raise UserError("nothing to write: the film has no frame")
        self._encoder.finish()
        self._done = True
        return self._file.put_together(self._encoder.picture(), self._side)

    def part(self) -> tuple[Path, int] | None:
        """See `Output`."""
        if self._encoder is None:
            return None
        self._encoder.close()
        count = self._encoder.written
        if self._done:
            film = self._side / "film.mkv"
            try:
                mux(film, "matroska", self._encoder.picture(), None)
                return film, count
            except _ERRORS:  # as on a full disk
                film.unlink(missing_ok=True)
        return (self._encoder.path, count) if count else None

    def close(self) -> None:
        """See `Output`."""
        if self._encoder:
            self._encoder.close()


def _on_depth(film: OpenedFilm, kept: str) -> str:
    name = getattr(film, "path", film.name)
    if kept:
        return f"{name} has {film.depth} bits: written as {kept}"
    return f"{name} has {film.depth} bits, of which 8 are kept"


class FolderWriter:
    """PNG frames; see `frame_names`.

    Args:
        path: Of the folder, which is made where it is not there.
        like: The film that frames are made from.
        deep: Whether it has more than 8 bits that are kept.
        first: Number of the first frame.
    """

    def __init__(self, path: Path, like: OpenedFilm | None, deep: bool = False, first: int = 0) -> None:
        self.deep = deep and like is not None and like.depth > 8
        self._path, self._first, self._count = path, first, 0
        self._name = frame_names(like)
        self._path.mkdir(exist_ok=True)

    def write(self, rgb: np.ndarray) -> None:
        """See `FrameWriter`."""
        path = self._path / self._name(self._first + self._count)
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


def frame_names(like: OpenedFilm | None) -> Callable[[int], str]:
    """Names of PNG frames by number: 00000.png onwards, or those of the frames they are made from."""
    numbers = like.numbers if isinstance(like, Excerpt) else range(len(like) if like is not None else 0)
    digits = max(5, len(str(max(numbers, default=0))))
    stems = [file.stem for file in like.files] if like is not None else []
    if len(set(stems)) < len(stems) or not stems:  # a.jpg and a.png cannot both be a.png
        stems = [f"{number:0{digits}}" for number in numbers]
    return lambda number: f"{stems[number] if number < len(stems) else f'{number:0{digits}}'}.png"


def tell_of_folder(like: OpenedFilm | None, deep: bool) -> None:
    """Warn of what of a film is not in a folder of its frames."""
    for line in left_behind(like, "a folder of frames") if isinstance(like, VideoFile) else []:
        warnings.warn(line, stacklevel=2)
    if like is not None and like.depth > 8:
        warnings.warn(_on_depth(like, "16-bit PNG" if deep else ""), stacklevel=2)
