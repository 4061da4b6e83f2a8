"""Which stretches of film are validated on."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from flowchroma.data.clips.datasets import Window
from flowchroma.data.clips.reading import checked_length
from flowchroma.data.sources.source import ReadableFilm
from flowchroma.errors import UserError


def plan_windows(
    sources: Sequence[Sequence[ReadableFilm]], length: int, skip: Callable[[str, UserError], None]
) -> Iterator[Window]:
    """Hand out windows that do not overlap: the first of every film, then the second of every film, and so on.

    Sources take turns, so that any number of windows is spread over sources and films as evenly as there are frames.

    Args:
        sources: the films of each source.
        length: frames in a window.
        skip: is told the name of each film that is too short or cannot be read, and why.
    """
    frames: dict[int, int] = {}  # by film's place
    films = _taking_turns(sources)
    for turn in count():
        handed_out = False
        for place, film in enumerate(films):
            if place not in frames:
                frames[place] = _length_or_zero(film, length, skip)
            if (turn + 1) * length <= frames[place]:
                handed_out = True
                yield Window(film, turn * length)
        if not handed_out:
            return


def _length_or_zero(film: ReadableFilm, length: int, skip: Callable[[str, UserError], None]) -> int:
    try:
        return checked_length(film, length)
    except UserError as error:
        skip(film.name, error)
        return 0


def _taking_turns(sources: Sequence[Sequence[ReadableFilm]]) -> list[ReadableFilm]:
    longest = max(map(len, sources), default=0)
    return [films[turn] for turn in range(longest) for films in sources if turn < len(films)]
