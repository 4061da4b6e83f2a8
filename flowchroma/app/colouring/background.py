"""Work in a thread of its own, beside that of the caller: what is needed next, and what is done last.

Decoding, encoding and tensor functions let other threads run meanwhile.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

_T = TypeVar("_T")
_DEPTH = 2  # items that wait: the luminance of a frame of 3840 x 2160 takes 33 MB
_LOOK = 0.1  # seconds after which a thread that waits looks whether the other has given up


class AbandonedError(Exception):
    """The other thread has stopped."""


@contextmanager
def prefetched(items: Iterable[_T], depth: int = _DEPTH) -> Iterator[Iterator[_T]]:
    """Make items in a thread, in order, while those before are used.

    Args:
        items: are made there; an error is raised in the block, where the item would come.
        depth: items that wait at most; one more is being made. None is made after the block.
    """
    line: _Line[_T] = _Line(depth)

    def make() -> None:
        error = None
        try:
            for item in items:
                line.put(item)
        except BaseException as raised:
            error = raised
        line.end(error)

    with _running(make, line):
        yield line.items()


@contextmanager
def in_background(take: Callable[[Iterator[_T]], None], depth: int = _DEPTH) -> Iterator[Callable[[_T], None]]:
    """Take items in a thread, in order; yields a function to which the block gives them.

    Args:
        take: is given the items there, and takes all of them. Its error is raised in the block, where one of the next
            items is given, or at the block's end. Where the block fails, `AbandonedError` stands in place of an item.
        depth: items that wait at most.
    """
    line: _Line[_T] = _Line(depth)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            take(line.items())
        except BaseException as error:
            failed.append(error)
            line.give_up()

    def give(item: _T) -> None:
        try:
            line.put(item)
        except AbandonedError:
            raise failed[0] from None

    with _running(run, line) as thread:
        yield give
        line.end()
        thread.join()
        if failed:
            raise failed[0]


@contextmanager
def _running(work: Callable[[], None], line: "_Line[_T]") -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        line.give_up()
        thread.join()


class _Line(Generic[_T]):
    """Items on their way from one thread to another, a few at a time."""

    def __init__(self, depth: int) -> None:
        self._queue: queue.Queue[tuple[_T] | None] = queue.Queue(depth)
        self._given_up = threading.Event()
        self._error: BaseException | None = None

    def put(self, item: _T) -> None:
        """Wait for room; `AbandonedError` where nobody takes items any more."""
        self._put((item,))

    def end(self, error: BaseException | None = None) -> None:
        """No more items come; an error is raised in place of the next."""
        self._error = error
        with suppress(AbandonedError):
            self._put(None)

    def give_up(self) -> None:
        """Let neither thread wait for the other any more."""
        self._given_up.set()

    def items(self) -> Iterator[_T]:
        """Those that come; `AbandonedError` where nobody gives them any more."""
        while not self._given_up.is_set():
            with suppress(queue.Empty):
                item = self._queue.get(timeout=_LOOK)
                if item is None:
                    break
                yield item[0]
        else:
            raise AbandonedError
        if self._error is not None:
            raise self._error

    def _put(self, item: tuple[_T] | None) -> None:
        while not self._given_up.is_set():
            with suppress(queue.Full):
                return self._queue.put(item, timeout=_LOOK)
        raise AbandonedError
