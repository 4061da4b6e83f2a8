"""An optimizer whose rate differs from part to part of a network."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from torch.optim import AdamW


def adamw_by_part(
    parameters: Iterable[tuple[str, nn.Parameter]] | Iterable[nn.Parameter],
    lr: float,
    factors: Mapping[str, float],
    **options: Any,
) -> AdamW:
    """Build an AdamW in which some parts of a network learn faster or slower than the rest.

    Args:
        parameters: by name; those without names all learn at `lr`.
        lr: the rate.
        factors: of the rate, by a part's name as in `network.named_children()`. A part that is not there is no error:
            networks of one stage differ in their parts.
        options: of AdamW.
    """
    groups: dict[float, list[Any]] = {}
    for entry in parameters:
        part = entry[0].split(".")[0] if isinstance(entry, tuple) else ""
        groups.setdefault(factors.get(part, 1.0), []).append(entry)
    return AdamW([{"params": group, "lr": lr * factor} for factor, group in groups.items()], lr=lr, **options)
