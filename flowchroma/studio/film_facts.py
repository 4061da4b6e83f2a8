"""What there is to know of a film before it is coloured."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowchroma.film import OpenedFilm

_CONTAINER = "mp4"  # of the studio's film
_HOUR, _MINUTE = 3600, 60


@dataclass(frozen=True)
class FilmFacts:
    """Of a film, in words."""

    name: str
    size: str
    length: str
    sound: str
    kept: Sequence[str]  # what the coloured film has as the film has it
    lost: Sequence[str]  # and what it has otherwise, or not
    notes: Sequence[str]


def facts_of(film: OpenedFilm) -> FilmFacts:
    """Look at a film; the coloured one is an mp4 file.

    Raises:
        UserError: It cannot be read.
    """
    height, width = film.size
    rate = rate_of(film)
    kept = ["size, frame rate and the lightness of every pixel"]
    sound, lost, name = "none", list[str](), film.path.name if film.path else film.name
    if film.path and film.path.is_file():
        sound, carried, lost = _other_streams(film)
        kept += carried
    else:
        lost = ["a folder of frames has no sound"]
    length = f"{clock(len(film) / rate)}, {len(film)} frames, {rate:g} a second"
    return FilmFacts(name, f"{width} x {height}", length, sound, kept, lost, film.notes)


def rate_of(film: OpenedFilm) -> float:
    """Frames a second, on average; of a folder those that its film gets."""
    return float(getattr(film, "rate", 25))


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    whole = round(seconds)
    hours, minutes = divmod(whole // _MINUTE, _MINUTE)
    return f"{hours}:{minutes:02}:{whole % _MINUTE:02}" if hours else f"{minutes}:{whole % _MINUTE:02}"


def _other_streams(film: OpenedFilm) -> tuple[str, list[str], list[str]]:
    """Sound in words, what is carried, and what is not as it was."""
    import av

    from flowchroma.film.streams import load
    from flowchroma.film.video import VideoFile

    assert isinstance(film, VideoFile)
    others = load(film, _CONTAINER)
    with av.open(str(film.path)) as source:
        kinds = {stream.index: stream.type for stream in source.streams}
        tracks = [f"{track.codec_context.name}, {track.layout.name}" for track in source.streams.audio]
    words = {"audio": "sound track", "subtitle": "subtitle track"}
    kept = []
    for kind, word in words.items():
        if count := sum(kinds[choice.index] == kind for choice in others.choices):
            kept.append(f"{count} {word}" + "s" * (count > 1))
    if others.chapters:
        kept.append(f"{len(others.chapters)} chapters")
    return "; ".join(tracks) or "none", kept, [line.replace(f" of {film.path}", "") for line in others.notices]
