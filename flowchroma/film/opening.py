"""A film from its path."""

from pathlib import Path

from flowchroma.errors import UserError
from flowchroma.film.film import OpenedFilm


def open_film(path: str | Path) -> OpenedFilm:
    """Open a folder of frames or a video file.

    Raises:
        UserError: There is nothing of that name, or it is no film.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        from flowchroma.film.folder import FrameFolder  # needs OpenCV, as the other needs PyAV

        return FrameFolder(path)
    if not path.exists():
        raise UserError(f"no film at {path}: looked for a video file or a folder of frames; check the path")
    from flowchroma.film.video import VideoFile

    return VideoFile(path)
