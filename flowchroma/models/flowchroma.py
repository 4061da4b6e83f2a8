"""The three networks together, one frame at a time."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from flowchroma import ops
from flowchroma.models.carried_origin import carry_origin, mixed_origin
from flowchroma.models.contracts import FlowNetwork, Fused, Fusion, Matcher
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.estimate import Estimate, combine
from flowchroma.models.fusion.bidirectional import BidirectionalFusion, TwoSided
from flowchroma.models.state import (
    ColouredFrame,
    FlowState,
    Known,
    Origin,
    RecentFrames,
    ReferenceMemory,
    Signals,
    State,
)
from flowchroma.types import Flow, Propagation


class FlowChroma(nn.Module):
    """Colours a gray film from references, in memory that does not grow with the film.

    References are kept for the whole film. So is a bounded number of frames that were coloured before, for fusions that
    read them: what came into view since the reference was taken is found there.

    Args:
        flow: carries colour from frame to frame.
        matcher: finds colour in the references.
        fusion: weighs the two; its error model gives the confidence that colour is carried with.
        recent: coloured frames kept, for a fusion that `reads_recent`; the oldest gives way.
        every: of so many frames, one is kept.
        bidirectional: weighs what is found from keyframes on both sides of a frame; None weighs by expected errors.

    Example:
        >>> state = system.start(references)        # (B, R, 3, H, W), CIELAB
        >>> for luma in film:                       # (B, 1, H, W), L in [0, 100]
        ...     ab, state = system.step(luma, state)
    """

    def __init__(
        self,
        flow: FlowNetwork,
        matcher: Matcher,
        fusion: Fusion,
        recent: int = 8,
        every: int = 5,
        bidirectional: BidirectionalFusion | None = None,
    ) -> None:
        super().__init__()
        self.flow, self.matcher, self.fusion = flow, matcher, fusion
        self.recent = recent if fusion.reads_recent else 0
        self.every = every
        self.bidirectional = bidirectional

    def start(self, *references: Tensor) -> State:
        """Encode references, each (B, R, 3, H, W), CIELAB, of its own size; the state before a film's first frame."""
        return State(references=self._memory(encode_references(self.matcher, references)))

    def step(self, luma: Tensor, state: State) -> tuple[Tensor, State]:
        """Colour the next frame, (B, 1, H, W), L in [0, 100], of the same size from frame to frame.

        Returns:
            ab of the frame, (B, 2, H, W), CIELAB units, and the state for the next.
        """
        frame = self.advance(luma, state)
        return frame.ab, frame.state

    def observe(self, luma: Tensor, ab: Tensor, state: State) -> State:
        """Take a frame whose colour is given, (B, 2, H, W) in CIELAB units, such as the reference itself."""
        return self.advance(luma, state, Known(ab)).state

    def advance(self, luma: Tensor, state: State, known: Known | None = None) -> ColouredFrame:
        """Take the next frame: `step` and `observe` in one, for a batch of which some items' colours are given.

        Args:
            luma: (B, 1, H, W), L in [0, 100].
            state: from `start` or from the frame before.
            known: the frame's colour, where it is given. It is carried on with confidence 1.
        """
        if known is not None and known.whole:
            signals: Signals | None = None
            flow_state: FlowState | None = self.flow.step(luma, state.flow)[1]
            shown = Fused(known.ab, torch.ones_like(luma))
            features = self.matcher.features(luma) if self.fusion.reads_origin else None
            origin = None if features is None else Origin(luma, features)
        else:
            signals = self.estimate(luma, state)
            shown, flow_state, features = self.fusion.fuse(signals), signals.flow_state, signals.match.features
            origin = mixed_origin(signals.origin, (shown.propagated or shown).carried_share)
            if known is not None:
                shown = shown.given(known)
                origin = known.fill_origin(origin, signals.origin)
        propagated = shown.propagated or shown
        # A film's first frame is not kept: where it is known it is nearly always the reference.
        keep = self.recent and state.frames and (known is not None or state.frames % self.every == 0)
        recent = self._keep(state, luma, propagated.ab, features) if keep else state.recent
        after = State(
            state.references, flow_state, propagated.ab, luma, propagated.confidence, recent, state.frames + 1, origin
        )
        return ColouredFrame(luma, shown.ab, shown.confidence, signals, after)

    def fuse_directions(self, frame: ColouredFrame, backward: Estimate, position: float | None) -> Estimate:
        """Weigh a frame's colour with what was found for it on the way back from the next keyframe.

        Args:
            frame: on the way forward, its colour not given.
            backward: of the same frame: `Estimate.propagated`, or `Estimate.of` where `position` is None.
            position: of the frame, between 0 at the keyframe before it and 1 at the next; None where none is before it.

        Returns:
            The colour, and the error expected of it, as `Estimate.calibrated`.
        """
        if position is None:
            return combine([Estimate.of(frame, self.fusion.error_model), backward]).calibrated()
        forward = Estimate.propagated(frame, self.fusion.error_model)
        if self.bidirectional is None or frame.signals is None:
            return combine([forward, backward]).calibrated()
        place = frame.luma.new_full((len(frame.luma),), position)
        return self.bidirectional(TwoSided(frame.luma, forward, backward, frame.signals.match.finest, place))

    def estimate(self, luma: Tensor, state: State) -> Signals:
        """What both networks find for the next frame (B, 1, H, W), before it is fused."""
        flow, flow_state = self.flow.step(luma, state.flow)
        memories = [state.references]
        if state.recent.joined is not None:
            memories.append(state.recent.joined)
        match, *recent = self.matcher.match(luma, memories, state.last)
        carried = propagate(state.ab, state.confidence, flow, luma, self.fusion.error_model)
        origin = None
        if self.fusion.reads_origin:
            assert match.features is not None
            frame = Origin(luma, match.features)
            origin = carry_origin(state.origin, flow, frame, carried.confidence > 0, self.fusion.error_model.sharpness)
        return Signals(luma, carried, match, recent[0] if recent else None, flow, flow_state, origin)

    def _keep(self, state: State, luma: Tensor, ab: Tensor, features: Tensor | None) -> RecentFrames:
        lab = torch.cat([luma, ab.detach()], dim=1)[:, None]
        encode = self.matcher.encode_references
        memory = encode(lab) if features is None else encode(lab, features)
        return RecentFrames((*state.recent, self._memory(memory))[-self.recent :])

    def _memory(self, memory: ReferenceMemory) -> ReferenceMemory:
        """Without patches for a fusion that does not read votes: they would be counted for nothing."""
        return memory if self.fusion.reads_votes else replace(memory, patches=None)


def encode_references(matcher: Matcher, references: Sequence[Tensor]) -> ReferenceMemory:
    """One memory of references, each (B, R, 3, H, W), CIELAB, of a size of its own."""
    memories = [matcher.encode_references(group) for group in references]
    return memories[0] if len(memories) == 1 else ReferenceMemory.join(memories)


def propagate(
    ab: Tensor | None, confidence: Tensor | None, flow: Flow | None, luma: Tensor, error_model: ErrorModel
) -> Propagation:
    """Carry the last frame's colour along the flow.

    Args:
        ab: (B, 2, H, W), CIELAB units; None where no frame came before.
        confidence: (B, 1, H, W), in [0, 1], in that colour; None likewise.
        flow: from this frame back to that one; None likewise.
        luma: (B, 1, H, W) of this frame.
        error_model: combines the confidence in the colour with that in the flow.

    Returns:
        The carried colour and the confidence in it; 0 where the flow leaves the frame or has no confidence, and
        everywhere without a frame before.
    """
    if ab is None or confidence is None or flow is None:
        nothing = torch.zeros_like(luma)
        return Propagation(nothing.expand(-1, 2, -1, -1), nothing)
    left = error_model.carried_confidence(ops.backward_warp(confidence, flow.colour_flow), flow.confidence)
    carried = ops.sharp_backward_warp(ab, flow.colour_flow, error_model.sharpness)
    return Propagation(carried, left * ops.points_inside(flow.colour_flow) * (flow.confidence > 0))
