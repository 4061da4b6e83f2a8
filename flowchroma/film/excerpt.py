"""Some frames of a film, made small."""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction

import numpy as np

from flowchroma.errors import UserError
from flowchroma.film.film import Mended, OpenedFilm, check_indices
from flowchroma.film.schedule import Schedule
from flowchroma.film.video import VideoFile


class Excerpt:
    """Some frames of a film, each of which is shown at its own time until the next one is.

    Args:
        film: Of which they are.
        numbers: Theirs in the film, rising.
        stop: Number of the film's frame at which the last one ends.
        side: Short side in pixels, at most that of the film.
        rate: Frames per second of a film that has no times.
    """

    depth = 8

    def __init__(self, film: OpenedFilm, numbers: Sequence[int], stop: int, side: int, rate: Fraction) -> None:
        check_indices(film.name, numbers, len(film))
        self.film, self.numbers = film, list(numbers)
        self.name, self.path, self.notes = film.name, film.path, film.notes
        self.files = [film.files[number] for number in numbers] if film.files else []
        scale = min(1.0, side / min(film.size))
        self.size = (round(film.size[0] * scale), round(film.size[1] * scale))
        self.rate = film.rate if isinstance(film, VideoFile) else rate
        self.pixel_aspect = film.pixel_aspect if isinstance(film, VideoFile) else None
        schedule = Schedule(film, rate)
        shown = [schedule.time(number) for number in [*numbers, stop]]
        self.times = schedule.base, shown[:-1], shown[-1] - shown[-2]

    def __len__(self) -> int:
        """How many frames."""
        return len(self.numbers)

    def __iter__(self) -> Iterator[np.ndarray]:
        """See `Film`."""
        return (self.read([index])[0] for index in range(len(self)))

    def read(self, indices: Sequence[int], at_least: tuple[int, int] | None = None) -> list[np.ndarray]:
        """See `Film.read`."""
        check_indices(self.name, indices, len(self))
        return [self._small(rgb) for rgb in self.film.read([self.numbers[index] for index in indices], self.size)]

    def attempt(
        self, deep: bool = False, only: Collection[int] | None = None
    ) -> Iterator[np.ndarray | Mended | UserError]:
        """See `OpenedFilm.attempt`; frames have 8 bits."""
        numbers = self.numbers if only is None else [self.numbers[index] for index in sorted(only)]
        for frame in self.film.attempt(only=set(numbers)):
            if isinstance(frame, UserError):
                yield frame
            elif isinstance(frame, Mended):
                yield Mended(self._small(frame.rgb), frame.error)
            else:
                yield self._small(frame)

    def number_of(self, frame: int) -> int:
        """The number here of the first frame that comes at one of the film's, or after it."""
        return bisect_left(self.numbers, frame)

    def _small(self, rgb: np.ndarray) -> np.ndarray:
        if rgb.shape[:2] == self.size:
            return rgb
        import cv2

        return cv2.resize(rgb, self.size[::-1], interpolation=cv2.INTER_AREA)
