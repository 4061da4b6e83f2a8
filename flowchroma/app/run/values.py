"""What values an option may have: small descriptions that check a value and say in words what is wanted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flowchroma.errors import UserError


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
        return " or ".join(dict.fromkeys(map(typed, self.words)))


@dataclass(frozen=True)
class Text:
    """Any text that is not empty, or any at all."""

    empty: bool = False

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        return isinstance(value, str) and (self.empty or value != "")

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True)
class Several:
    """A list of values of one kind.

    Args:
        kind: of each.
        length: of the list; None for any but 0.
        rising: no value is less than the one before it.
        empty: with any length, 0 is one.
    """

    kind: Kind
    length: int | None = None
    rising: bool = False
    empty: bool = False

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        fits = (self.empty or len(value) > 0) if self.length is None else len(value) == self.length
        order = not self.rising or all(isinstance(v, int | float) for v in value)
        return fits and order and all(map(self.kind.holds, value)) and (not self.rising or [*value] == sorted(value))

    def __str__(self) -> str:
        count = "" if self.length is None else f"{self.length} values, "
        return f"a list of {count}each {self.kind}{', the lower first' if self.rising else ''}"


@dataclass(frozen=True)
class Table:
    """A mapping from keys of one kind to values of another."""

    keys: Kind
    values: Kind

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        if not isinstance(value, Mapping):
            return False
        return all(map(self.keys.holds, value)) and all(map(self.values.holds, value.values()))

    def __str__(self) -> str:
        return f"a mapping from {self.keys} to {self.values}"


@dataclass(frozen=True)
class Anything:
    """Any value."""

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        return True

    def __str__(self) -> str:
        return "anything"


@dataclass(frozen=True)
class Either:
    """A value of any of some kinds."""

    kinds: tuple[Kind, ...]

    def holds(self, value: Any) -> bool:
        """See `Kind`."""
        return any(kind.holds(value) for kind in self.kinds)

    def __str__(self) -> str:
        return ", or ".join(dict.fromkeys(map(str, self.kinds)))


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


def typed(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}:{typed(one)}' for name, one in value.items())}}}"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def check_value(key: str, value: Any, kind: Kind) -> None:
    """Refuse a value that is not of a kind.

    Raises:
        UserError: with what it may be; of a mapping, with the entry that is wrong.
    """
    if kind.holds(value):
        return
    table = next((one for one in getattr(kind, "kinds", (kind,)) if isinstance(one, Table)), None)
    if table and isinstance(value, Mapping):
        for name, one in value.items():
            check_value(f"{key}.{name}", one, table.values)
    raise UserError(f"{key}={typed(value)}: give {kind}", code=2)
