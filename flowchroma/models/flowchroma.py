"""The three networks together, one frame at a time."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from flowchroma import ops
from flowchroma.models.memflow import MemFlow
from flowchroma.models.swintexco import Matcher
from flowchroma.types import Flow, Propagation, Signals, State


class FlowChroma(nn.Module):
    """Colours a gray film from references, in memory that does not grow with the film.

    Args:
        flow: MemFlow, which carries colour from frame to frame.
        matcher: SwinTExCo, which finds colour in the references.
        fusion: weighs the two.

    Example:
        >>> state = system.start(references)        # (B, R, 3, H, W), CIELAB
        >>> for luma in film:                       # (B, 1, H, W), L in [0, 100]
        ...     ab, state = system.step(luma, state)
    """

    def __init__(self, flow: MemFlow, matcher: Matcher, fusion: nn.Module) -> None:
        super().__init__()
        self.flow, self.matcher, self.fusion = flow, matcher, fusion

    def start(self, references: Tensor) -> State:
        """Encode the references (B, R, 3, H, W), CIELAB, of any size; the state before a film's first frame."""
        return State(references=self.matcher.remember(references))

    def step(self, luma: Tensor, state: State) -> tuple[Tensor, State]:
        """Colour the next frame.

        Args:
            luma: (B, 1, H, W), L in [0, 100]; the same size from frame to frame.
            state: from `start` or from the frame before.

        Returns:
            ab of the frame, (B, 2, H, W), CIELAB units, and the state for the next.
        """
        signals = self.look(luma, state)
        ab = self.fuse(luma, signals)
        return ab, self.advance(state, signals, ab)

    def know(self, luma: Tensor, ab: Tensor, state: State) -> State:
        """Take a frame whose colour is given, (B, 2, H, W) in CIELAB units, such as the reference itself."""
        _, flow_state = self.flow.step(luma, state.flow)
        return replace(state, flow=flow_state, ab=ab, luma=luma)

    def look(self, luma: Tensor, state: State) -> Signals:
        """What both networks say of the next frame (B, 1, H, W), before they are weighed."""
        flow, flow_state = self.flow.step(luma, state.flow)
        found = self.matcher(luma, state.references, state.last)
        return Signals(luma, propagate(state.ab, flow, luma), found, flow, flow_state)

    def fuse(self, luma: Tensor, signals: Signals) -> Tensor:
        """Weigh the two colours of a frame: (B, 2, H, W), CIELAB units."""
        return self.fusion(luma, signals.propagation, signals.match)

    @staticmethod
    def advance(state: State, signals: Signals, ab: Tensor) -> State:
        """The state after a frame was given the colour `ab`, (B, 2, H, W)."""
        return replace(state, flow=signals.flow_state, ab=ab, luma=signals.luma)


def propagate(ab: Tensor | None, flow: Flow | None, luma: Tensor) -> Propagation:
    """Carry the last frame's colour along the flow.

    Args:
        ab: (B, 2, H, W), CIELAB units; None where no frame came before.
        flow: from this frame back to that one; None likewise.
        luma: (B, 1, H, W) of this frame.

    Returns:
        The carried colour, with confidence 0 where the flow leaves the frame, or everywhere without a frame before.
    """
    if ab is None or flow is None:
        nothing = torch.zeros_like(luma)
        return Propagation(nothing.expand(-1, 2, -1, -1), nothing)
    return Propagation(ops.backward_warp(ab, flow.flow), flow.confidence * ops.inside(flow.flow))
