"""Signals that end a command, so that it cleans up and says so."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_ENDING = ("SIGTERM", "SIGHUP", "SIGXCPU")  # some systems lack some


class TerminatedError(KeyboardInterrupt):
    """A signal other than Ctrl-C ended the command: like that one, no `except Exception` stops it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Let signals that end a process raise `TerminatedError` in the block, so that what it holds open is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        for one in before:  # a second one must not cut the cleaning short
            signal.signal(one, signal.SIG_IGN)
        raise TerminatedError(number)

    before = {}
    for name in _ENDING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # what nohup ignores stays ignored
            with suppress(ValueError, OSError):
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
