"""Sums over the processes that share a batch, so that they learn what one process with the whole batch would."""

from torch import Tensor, distributed


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if _together() else 1


def total(value: Tensor) -> Tensor:
    """Sum of a tensor without gradient over all processes, each of which has to ask for it."""
    if not _together():
        return value
    value = value.detach().clone()
    distributed.all_reduce(value)
    return value


def anywhere(flag: Tensor) -> bool:
    """Whether a boolean scalar is true in any of the processes, each of which has to ask."""
    return bool(total(flag.float()) > 0)


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
