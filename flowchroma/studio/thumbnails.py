"""Small pictures of frames and stills, kept in the project."""

from pathlib import Path

from flowchroma.film.image_files import encode_jpeg, read_image
from flowchroma.plans.plan_file import gray_of
from flowchroma.studio.maps import shrunk
from flowchroma.studio.project import Project, stamp

_LONG, _QUALITY = 320, 85


def thumbnail(project: Project, number: int) -> Path:
    """A frame in gray, made when it is asked for first.

    Raises:
        UserError: It cannot be read.
    """
    film = project.film_path
    path = _place(project, f"frame-{number}-{stamp(film)[0] if film else 0}")
    if not path.exists():
        path.write_bytes(encode_jpeg(shrunk(gray_of(project.frame(number)), _LONG), _QUALITY))
    return path


def still_thumbnail(project: Project, still: Path, long_side: int = _LONG) -> Path:
    """A still as it lies in the project, coloured or not."""
    path = _place(project, f"still-{still.stem}-{stamp(still)[0]}-{long_side}")
    if not path.exists():
        path.write_bytes(encode_jpeg(shrunk(read_image(still), long_side), _QUALITY))
    return path


def _place(project: Project, name: str) -> Path:
    folder = project.own / "small"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.jpg"
