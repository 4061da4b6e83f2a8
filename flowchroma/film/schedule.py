"""When each frame of a film that is being written is shown."""

from bisect import bisect_left
from fractions import Fraction

from flowchroma.film.film import Film


class Schedule:
    """Times of frames by their number, in units of a time base.

    Args:
        like: Gives them where it has any, as a video file; frames beyond its last follow as long as that one stays.
        rate: Frames per second otherwise.
    """

    def __init__(self, like: Film | None, rate: Fraction) -> None:
        base, times, last = getattr(like, "times", None) or (1 / rate, [0], 1)
        self.base, self._times, self._last = base, times, max(1, last)

    def time(self, index: int) -> int:
        """When a frame begins to be shown."""
        beyond = index - len(self._times) + 1
        return self._times[index] if beyond <= 0 else self._times[-1] + beyond * self._last

    def index(self, time: int) -> int:
        """The number of the frame that begins at a time."""
        beyond = time - self._times[-1]
        return bisect_left(self._times, time) if beyond <= 0 else len(self._times) - 1 + beyond // self._last

    def seconds(self, index: int) -> Fraction:
        """When a frame begins to be shown, in seconds."""
        return self.time(index) * self.base
