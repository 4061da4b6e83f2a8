"""Which parts of the films are validation clips."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from flowchroma.data.clips.datasets import ClipWindow
from flowchroma.data.clips.reading import checked_length
from flowchroma.errors import UserError
from flowchroma.film.film import Film


def plan_windows(
    sources: Sequence[Sequence[Film]], length: int, skip: Callable[[str, UserError], None]
) -> Iterator[ClipWindow]:
    """Yield windows that do not overlap: the first of every film, then the second of every film, and so on.

    Sources take turns, so that any number of windows is spread over sources and films as evenly as there are frames.

    Args:
        sources: the films of each source.
        length: frames in a window.
        skip: called with the name of each film that is too short or cannot be read, and why.
    """
    frames: dict[int, int] = {}  # by the film's index
    films = _interleave(sources)
    for turn in count():
        found = False
        for index, film in enumerate(films):
            if index not in frames:
                frames[index] = _length_or_zero(film, length, skip)
            if (turn + 1) * length <= frames[index]:
                found = True
                yield ClipWindow(film, turn * length)
        if not found:
            return


def _length_or_zero(film: Film, length: int, skip: Callable[[str, UserError], None]) -> int:
    try:
        return checked_length(film, length)
    except UserError as error:
        skip(film.name, error)
        return 0


def _interleave(sources: Sequence[Sequence[Film]]) -> list[Film]:
    longest = max(map(len, sources), default=0)
    return [films[turn] for turn in range(longest) for films in sources if turn < len(films)]
