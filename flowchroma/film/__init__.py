"""Films in and out: folders of frames and video files, with their sound, and colour references.

Importing this room needs neither OpenCV nor PyAV; opening a film does.
"""

from typing import TYPE_CHECKING, Any

from flowchroma.film.film import Film, OpenedFilm
from flowchroma.film.held import HeldFilm, shown_frame
from flowchroma.film.opening import open_film
from flowchroma.film.references import read_reference
from flowchroma.film.writer import FrameWriter, open_writer

if TYPE_CHECKING:
    from flowchroma.film.folder import FrameFolder
    from flowchroma.film.video import VideoFile

__all__ = [
    "Film",
    "FrameFolder",
    "FrameWriter",
    "HeldFilm",
    "OpenedFilm",
    "VideoFile",
    "open_film",
    "open_writer",
    "read_reference",
    "shown_frame",
]


def __getattr__(name: str) -> Any:
    if name == "FrameFolder":
        from flowchroma.film.folder import FrameFolder

        return FrameFolder
    if name == "VideoFile":
        from flowchroma.film.video import VideoFile

        return VideoFile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
