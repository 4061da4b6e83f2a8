import threading
from collections.abc import Iterator

import pytest

from flowchroma.app.colouring.background import AbandonedError, in_background, prefetched


def counted(stop: int, made: list[int]) -> Iterator[int]:
    for number in range(stop):
        made.append(number)
        yield number


def test_items_are_made_in_another_thread_a_few_ahead_of_their_use():
    made: list[int] = []
    reached = []
    with prefetched(counted(50, made), depth=3) as items:
        for item in items:
            assert item == len(reached)
            reached.append(len(made))
            assert len(made) <= item + 1 + 3 + 1  # used, waiting, being made
    assert made == list(range(50)) == list(range(len(reached)))


def test_an_error_of_what_is_made_comes_where_its_item_would():
    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise OSError("the disk is gone")

    seen: list[int] = []

    def use() -> None:
        with prefetched(items()) as found:
            for item in found:
                seen.append(item)

    with pytest.raises(OSError, match="the disk is gone"):
        use()
    assert seen == [1, 2, 3]


def test_nothing_is_made_after_a_block_that_leaves_early():
    made: list[int] = []
    before = threading.active_count()
    with prefetched(counted(1000, made), depth=2) as items:
        next(items)
    count = len(made)
    assert count < 10
    assert threading.active_count() == before
    assert len(made) == count


def test_all_items_are_taken_in_order_before_the_block_ends():
    taken: list[tuple[int, bool]] = []
    main = threading.current_thread()

    def take(items: Iterator[int]) -> None:
        taken.extend((item, threading.current_thread() is main) for item in items)

    with in_background(take, depth=2) as give:
        for number in range(100):
            give(number)
    assert taken == [(number, False) for number in range(100)]


@pytest.mark.parametrize("given", [1, 100])
def test_an_error_of_what_takes_reaches_the_block(given: int):
    def take(items: Iterator[int]) -> None:
        next(items)
        raise ValueError("the disk is full")

    done: list[int] = []

    def work() -> None:
        with in_background(take, depth=2) as give:
            for number in range(given):
                give(number)
                done.append(number)

    with pytest.raises(ValueError, match="the disk is full"):
        work()
    assert len(done) <= 4


def test_what_takes_is_told_that_the_block_has_failed_and_ends_before_the_error_goes_on():
    taken: list[int] = []
    ended = []

    def take(items: Iterator[int]) -> None:
        try:
            taken.extend(items)
        except AbandonedError:
            ended.append(True)
            raise

    def work() -> None:
        with in_background(take) as give:
            give(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert ended == [True]
