"""What values an option may have: small descriptions that check a value and say in words what is wanted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Kind(Protocol):
    """A set of values. Its text completes the sentence "give ..."."""

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""


@dataclass(frozen=True)
class Number:
    """A finite number between two bounds, which may be among them."""

    least: float = -math.inf
    most: float = math.inf
    whole: bool = False
    above: bool = False  # more than `least`

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return math.isfinite(value) and self.least <= value <= self.most and not (self.above and value == self.least)

    def __str__(self) -> str:
        what = "a whole number" if self.whole else "a number"
        if self.least == -math.inf:
            return what
        start = f"{what} above {self.least:g}" if self.above else f"{what} from {self.least:g}"
        if self.most == math.inf:
            return start if self.above else f"{start} on"
        return f"{start} to {self.most:.15g}"


@dataclass(frozen=True)
class Words:
    """One of some values."""

    words: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        return any(value == word and type(value) is type(word) for word in self.words)

    def __str__(self) -> str:
        typed = {"None": "null", "True": "true", "False": "false"}
        return " or ".join(dict.fromkeys(typed.get(str(word), str(word)) for word in self.words))


@dataclass(frozen=True)
class Text:
    """Any text that is not empty."""

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        return isinstance(value, str) and value != ""

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True)
class Several:
    """A list of values of one kind."""

    kind: Kind
    length: int | None = None  # None for any but 0
    rising: bool = False  # no value is less than the one before it

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        fits = len(value) > 0 if self.length is None else len(value) == self.length
        order = not self.rising or all(isinstance(v, int | float) for v in value)
        return fits and order and all(map(self.kind.holds, value)) and (not self.rising or [*value] == sorted(value))

    def __str__(self) -> str:
        count = "" if self.length is None else f"{self.length} values, "
        return f"a list of {count}each {self.kind}{', the lower first' if self.rising else ''}"


@dataclass(frozen=True)
class Either:
    """A value of any of some kinds."""

    kinds: tuple[Kind, ...]

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        return any(kind.holds(value) for kind in self.kinds)

    def __str__(self) -> str:
        return ", or ".join(map(str, self.kinds))


@dataclass(frozen=True)
class Unsupported:
    """No value: an option of Lightning's that does not fit how runs are made here, and what to use in its place."""

    instead: str

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        return False

    def __str__(self) -> str:
        return self.instead


def whole(least: float, most: float = math.inf) -> Number:
    """A whole number between bounds."""
    return Number(least, most, whole=True)


def words(*allowed: Any) -> Words:
    """One of these."""
    return Words(allowed)


def optional(kind: Kind) -> Either:
    """Null, or a value of a kind."""
    return Either((kind, words(None)))
