"""Values over the processes that share a batch, so that they learn what one process with the whole batch would."""

from typing import Any

from torch import Tensor, distributed


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _together() else 1


def all_reduce_sum(value: Tensor) -> Tensor:
    """Sum of a tensor without gradient over all processes, each of which has to call this."""
    if not _together():
        return value
    value = value.detach().clone()
    distributed.all_reduce(value)
    return value


def any_process(flag: Tensor) -> bool:
    """Whether a boolean scalar is true in any of the processes, each of which has to call this."""
    return bool(all_reduce_sum(flag.float()) > 0)


def gather(value: Any) -> list[Any]:
    """A picklable value of each process, by rank; each has to call this."""
    if not _together():
        return [value]
    gathered: list[Any] = [None] * world_size()
    distributed.all_gather_object(gathered, value)
    return gathered


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
