"""Which frame of a film a picture's name stands for."""

import re
from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

from flowchroma.errors import UserError
from flowchroma.film import Film

_TIMECODE = re.compile(r"[^0-9]*([0-9]{2})[-_:.]([0-9]{2})[-_:.]([0-9]{2})([-_:.;])([0-9]{2,3})[^0-9]*")
_DROP_RATES = (30, 60)  # frames counted a second, where broadcasts leave out numbers
_MILLISECONDS = 3  # digits
_ROUNDING = Fraction(1, 400)  # seconds, between times that containers round


def frame_of_name(name: str, film: Film, rate: Fraction | None = None) -> int:
    """The frame that a picture's name, without its suffix, stands for.

    A name has one number, from 0: `000240`, `240` or `frame_240`. Or it has a timecode from the film's beginning,
    `00-01-12.08`, as editing programs count: hours, minutes, seconds and frames within the second, which are 24 a
    second at 23.976, and 30 at 29.97; with `;` before the frames, by drop-frame timecode. Three digits at the end are
    milliseconds, as in mpv's screenshots.

    Args:
        name: The file's name without its suffix.
        film: Its `rate` and `times` are used where it has them.
        rate: Frames per second of a film that has no rate of its own.

    Raises:
        UserError: The name has no number or several, or a timecode that no frame can have. That the film has a frame of
            that number is not checked.
    """
    if found := _TIMECODE.fullmatch(name):
        hours, minutes, seconds, last = (int(found[group]) for group in (1, 2, 3, 5))
        if minutes > 59 or seconds > 59:
            raise UserError("has no timecode HH-MM-SS.FF: minutes and seconds are 00 to 59")
        start = (hours * 60 + minutes) * 60 + seconds
        if len(found[5]) == _MILLISECONDS:
            return _frame_at(start + Fraction(last, 1000), film, _rate(film, rate))
        return _frame_of_count(start, last, film, _rate(film, rate), dropped=found[4] == ";")
    numbers = re.findall(r"[0-9]+", name)
    if len(numbers) != 1:
        what = "no number" if not numbers else "more than one number"
        raise UserError(f"has {what} in its name: name it by its frame's number alone, from 0, such as 000240.png")
    return int(numbers[0])


def _rate(film: Film, rate: Fraction | None) -> Fraction:
    own = getattr(film, "rate", None) or rate
    if not own:
        raise UserError("is named by a timecode, and the film has no frame rate: name it by its frame's number")
    return Fraction(own)


def _frame_of_count(seconds: int, last: int, film: Film, rate: Fraction, dropped: bool) -> int:
    """The frame of a timecode of whole seconds and frames."""
    counted = max(1, round(rate))  # a second
    if last >= counted:
        raise UserError(f"has frame {last} in its timecode, and a second has {counted}: 00 to {counted - 1:02}")
    count = seconds * counted + last
    if dropped and counted in _DROP_RATES and rate != counted:
        left_out, minutes = counted // 15, seconds // 60
        if last < left_out and seconds % 60 == 0 and minutes % 10:
            raise UserError(f"has a timecode that drop-frame counting leaves out: ;{last:02} at that minute")
        count -= left_out * (minutes - minutes // 10)
    return count if _is_even(film) else _frame_at(count / Fraction(counted), film, rate)


def _frame_at(seconds: Fraction, film: Film, rate: Fraction) -> int:
    """The frame nearest to a time from the film's beginning; past its end, the number that it would have."""
    if not hasattr(film, "times"):
        return round(seconds * rate)
    base, shown, duration = film.times
    time = shown[0] + seconds / base
    end = shown[-1] + duration
    if time >= end:
        return len(shown) + int((time - end) * base * rate)
    at = bisect_right(shown, time) - 1
    return at + (at + 1 < len(shown) and shown[at + 1] - time < time - shown[at])


def _is_even(film: Film) -> bool:
    """Whether all frames stay equally long, but for the rounding of their times."""
    if not hasattr(film, "times"):
        return True
    base, shown, _ = film.times
    gaps = [other - one for one, other in pairwise(shown)]
    return not gaps or (max(gaps) - min(gaps)) * base <= _ROUNDING
