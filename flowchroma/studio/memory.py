"""Memory that was used once, and is not any more."""

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Give it back to the system, where the C library can do so: glibc keeps for each thread what it once took."""
    with suppress(OSError, TypeError, AttributeError):  # of another C library, or another system
        ctypes.CDLL(None).malloc_trim(0)
