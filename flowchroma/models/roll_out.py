"""The system over the frames of a film: the one loop of training, validation, inspection and demonstration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from flowchroma.models.flowchroma import FlowChroma
from flowchroma.models.state import ColouredFrame, Known


def roll_out(
    system: FlowChroma,
    lumas: Iterable[Tensor],
    references: Sequence[Tensor],
    known: Mapping[int, Known] | None = None,
    horizon: int | None = None,
) -> Iterator[ColouredFrame]:
    """Colour a film frame by frame, each on the system's own colour of the frame before, in bounded memory.

    Args:
        system: the three networks.
        lumas: each (B, 1, H, W), L in [0, 100], of one size; read one at a time.
        references: each (B, R, 3, h, w), CIELAB, of its own size.
        known: frames whose colour is given, by number from 0.
        horizon: frames that gradients flow through; None for all.

    Yields:
        Every frame, in order.
    """
    known = known or {}
    state = system.start(*references)
    for number, luma in enumerate(lumas):
        if horizon and number % horizon == 0 and state.ab is not None:
            origin = None if state.origin is None else state.origin.detached()
            state = replace(state, ab=state.ab.detach(), origin=origin)
        frame = system.advance(luma, state, known.get(number))
        state = frame.state
        yield frame
