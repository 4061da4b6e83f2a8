"""How a film is encoded."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Settings:
    """How a film is encoded; see `open_writer`."""

    rate: Fraction
    crf: float | str
    gop: int | None
    deep: bool = False
