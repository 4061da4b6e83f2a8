"""The three networks together, one frame at a time."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from flowchroma import ops
from flowchroma.models.fusion import error_model
from flowchroma.models.memflow import MemFlow
from flowchroma.models.state import ReferenceMemory, Signals, State
from flowchroma.models.swintexco import Matcher
from flowchroma.types import Flow, Propagation

_SHARPNESS = 0.8  # each tenth gains 0.15 % of colourfulness, and costs 0.02 dB over 25 frames


class FlowChroma(nn.Module):
    """Colours a gray film from references, in memory that does not grow with the film.

    The references are never forgotten. Beside them, a bounded number of frames that were coloured before are kept, for
    fusions that read them (`reads_recent`): what came into view since the reference was taken is found there. A fusion
    that `reads_closely` takes `Match.close` where there is one.

    Args:
        flow: MemFlow, which carries colour from frame to frame.
        matcher: SwinTExCo, which finds colour in the references.
        fusion: weighs the two.
        recent: coloured frames kept; the oldest gives way.
        every: of so many frames, one is kept.

    Example:
        >>> state = system.start(references)        # (B, R, 3, H, W), CIELAB
        >>> for luma in film:                       # (B, 1, H, W), L in [0, 100]
        ...     ab, state = system.step(luma, state)
    """

    def __init__(self, flow: MemFlow, matcher: Matcher, fusion: nn.Module, recent: int = 8, every: int = 5) -> None:
        super().__init__()
        self.flow, self.matcher, self.fusion = flow, matcher, fusion
        self.recent = recent if getattr(fusion, "reads_recent", False) else 0
        self.every = every
        self.closely = getattr(fusion, "reads_closely", False)

    def start(self, *references: Tensor) -> State:
        """Encode references, each (B, R, 3, H, W), CIELAB, of its own size; the state before a film's first frame."""
        return State(references=self._memory(remember(self.matcher, references)))

    def step(self, luma: Tensor, state: State) -> tuple[Tensor, State]:
        """Colour the next frame.

        Args:
            luma: (B, 1, H, W), L in [0, 100]; the same size from frame to frame.
            state: from `start` or from the frame before.

        Returns:
            ab of the frame, (B, 2, H, W), CIELAB units, and the state for the next.
        """
        signals = self.look(luma, state)
        ab = self.fusion(signals)
        return ab, self.advance(state, signals, ab)

    def know(self, luma: Tensor, ab: Tensor, state: State) -> State:
        """Take a frame whose colour is given, (B, 2, H, W) in CIELAB units, such as the reference itself."""
        _, flow_state = self.flow.step(luma, state.flow)
        # A film's first known frame is nearly always the reference.
        kept = self._keep(state, luma, ab) if state.frames and self.recent else state.recent
        return State(state.references, flow_state, ab, luma, torch.ones_like(luma), kept, state.frames + 1)

    def look(self, luma: Tensor, state: State) -> Signals:
        """What both networks say of the next frame (B, 1, H, W), before their answers are weighed."""
        flow, flow_state = self.flow.step(luma, state.flow)
        memories = [state.references]
        if state.recent:
            memories.append(ReferenceMemory.join(state.recent))
        match, *recent = self.matcher.look(luma, memories, state.last)
        carried = propagate(state.ab, state.worth, flow, luma)
        return Signals(luma, carried, match, recent[0] if recent else None, flow, flow_state)

    def advance(self, state: State, signals: Signals, ab: Tensor) -> State:
        """The state after a frame was given the colour `ab`, (B, 2, H, W)."""
        kept = state.recent
        if self.recent and state.frames and state.frames % self.every == 0:
            kept = self._keep(state, signals.luma, ab)
        trust = error_model.worth(signals)
        return State(state.references, signals.flow_state, ab, signals.luma, trust, kept, state.frames + 1)

    def _keep(self, state: State, luma: Tensor, ab: Tensor) -> tuple[ReferenceMemory, ...]:
        lab = torch.cat([luma, ab.detach()], dim=1)
        return (*state.recent, self._memory(self.matcher.remember(lab[:, None])))[-self.recent :]

    def _memory(self, memory: ReferenceMemory) -> ReferenceMemory:
        """Without patches for a fusion that does not read matches closely: they would be read for nothing."""
        return memory if self.closely else replace(memory, patches=None)


def remember(matcher: Matcher, references: Sequence[Tensor]) -> ReferenceMemory:
    """One memory of references, each (B, R, 3, H, W), CIELAB, of a size of its own."""
    memories = [matcher.remember(group) for group in references]
    return memories[0] if len(memories) == 1 else ReferenceMemory.join(memories)


def propagate(ab: Tensor | None, worth: Tensor | None, flow: Flow | None, luma: Tensor) -> Propagation:
    """Carry the last frame's colour along the flow.

    Args:
        ab: (B, 2, H, W), CIELAB units; None where no frame came before.
        worth: (B, 1, H, W), in [0, 1], how far that colour can be trusted; None likewise.
        flow: from this frame back to that one; None likewise.
        luma: (B, 1, H, W) of this frame.

    Returns:
        The carried colour and how far it can be trusted, see `expected.carried_on`; 0 where the flow leaves the frame
        or has no confidence, or everywhere without a frame before.
    """
    if ab is None or worth is None or flow is None:
        nothing = torch.zeros_like(luma)
        return Propagation(nothing.expand(-1, 2, -1, -1), nothing)
    trust = error_model.carried_on(ops.backward_warp(worth, flow.carrier), flow.confidence)
    carried = ops.carry(ab, flow.carrier, _SHARPNESS)
    return Propagation(carried, trust * ops.inside(flow.carrier) * (flow.confidence > 0))
