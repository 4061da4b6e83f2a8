"""How a film is encoded."""

import warnings
from dataclasses import dataclass
from fractions import Fraction

from flowchroma.errors import UserError


@dataclass(frozen=True)
class Settings:
    """How a film is encoded; see `open_writer`."""

    rate: Fraction
    crf: float | str
    gop: int | None
    deep: bool = False


def settings_of(fps: float | str, crf: float | str, gop: int | None, deep: bool) -> Settings:
    """Settings as `open_writer` takes them.

    Raises:
        UserError: `fps` or `crf` is out of range.
    """
    settings = Settings(frame_rate(fps), crf, gop, deep)
    if crf == "lossless":
        warnings.warn("quality=lossless: browsers and televisions do not show such H.264 (High 4:4:4)", stacklevel=3)
    elif not isinstance(crf, int | float) or isinstance(crf, bool) or not 0 <= crf <= 51:
        raise UserError(f"the quality (crf) must be a number from 0 (best) to 51, or lossless, not {crf}", code=2)
    return settings


def frame_rate(fps: float | str) -> Fraction:
    """The exact rate meant by a number: 23.976 is 24000/1001.

    Raises:
        UserError: It is no number, or not positive.
    """
    try:
        exact = Fraction(str(fps))
    except (ValueError, ZeroDivisionError):
        exact = Fraction(0)
    if not 0 < exact <= 1000:
        raise UserError(f"fps must be a number above 0, such as 25 or 24000/1001, not {fps}", code=2)
    ntsc = Fraction(round(exact) * 1000, 1001)
    return ntsc if exact.denominator != 1 and abs(ntsc - exact) < Fraction(5, 1000) else exact.limit_denominator(1001)
