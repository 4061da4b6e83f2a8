"""What the parts of a flow estimator hand to one another."""

from typing import NamedTuple

from torch import Tensor

from flowchroma import ops


class Encoded(NamedTuple):
    """A frame's features on the coarse grid."""

    features: Tensor  # (B, C, h, w)
    hidden: Tensor  # (B, D, h, w), the hidden state's start
    context: Tensor  # (B, D, h, w)
    query: Tensor  # (B, h * w, D)
    key: Tensor  # (B, n, D), of pooled positions


class Iterate(NamedTuple):
    """The state after an iteration."""

    flow: Tensor  # (B, 2, h, w), in coarse pixels
    hidden: Tensor  # (B, D, h, w)
    value: Tensor  # (B, n, D), from the flow that entered the iteration
    correlation: ops.Correlation  # of the two frames


class FineFlow(NamedTuple):
    """A coarse flow brought to pixels."""

    flow: Tensor  # (B, 2, H, W), in pixels
    refined: Tensor | None  # see `Flow`
    weights: Tensor  # (B, n, f, f, H / f, W / f): weights of n neighbours, by which it was enlarged f times
    steps: list[Tensor]  # the flows on the way to it, (B, 2, h, w), each in pixels of its own grid
