"""Frames of rollouts, with what a system found for them: what fusions are trained on without running the system."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from flowchroma.models.estimate import Estimate
from flowchroma.models.fusion.bidirectional import TwoSided
from flowchroma.models.state import CarriedOrigin, Signals
from flowchroma.types import Flow, Match, Movable, Propagation


@dataclass(frozen=True)
class KeptFrames(Movable):
    """A batch of frames, of any films; all tensors begin with the batch."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    true_ab: Tensor  # (B, 2, H, W), CIELAB units
    names: Sequence[str] = field(default=(), kw_only=True)  # B: the film and the frame
    trains: ClassVar[str]  # the part of a system that is trained on such frames

    @classmethod
    def tensors(cls) -> tuple[str, ...]:
        """The names of what is kept."""
        return tuple(one.name for one in fields(cls) if one.name != "names")

    @property
    def lab(self) -> Tensor:
        """(B, 3, H, W), CIELAB: the truth."""
        return torch.cat([self.luma, self.true_ab], dim=1)

    def reversed(self) -> Self:
        """The same with the directions exchanged, as if the film ran backward; itself where there is one."""
        return self

    def mirrored(self) -> Self:
        """The same, left and right exchanged."""
        return self.map(lambda _, value: value.flip(-1) if value.ndim > 1 else value)

    def recoloured(self, matrix: Tensor) -> Self:
        """The same with every ab multiplied by a matrix, (2, 2)."""
        return self.map(
            lambda name, value: torch.einsum("ij,bjhw->bihw", matrix, value) if name.endswith("_ab") else value
        )

    def map(self, change: Callable[[str, Tensor], Tensor]) -> Self:
        """The same with each tensor changed, which is given with its name."""
        changed: dict[str, Any] = {name: change(name, getattr(self, name)) for name in self.tensors()}
        return replace(self, **changed)

    @classmethod
    def join(cls, parts: Sequence[Any]) -> Self:
        """Several batches of one size as one."""
        tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in cls.tensors()}
        return cls(**tensors, names=[name for part in parts for name in part.names])


@dataclass(frozen=True)
class TwoSidedFrames(KeptFrames):
    """Frames between two keyframes, and what was found for them from both sides."""

    forward_ab: Tensor  # (B, 2, H, W), CIELAB units, as found on the way forward
    forward_error: Tensor  # (B, 1, H, W), what is expected of it, CIELAB units
    backward_ab: Tensor  # the same of the way back
    backward_error: Tensor
    match_ab: Tensor  # as matched on the way forward, at its finest
    similarity: Tensor  # (B, 1, H, W), of the match, in [0, 1]
    difference: Tensor  # (B, 1, H, W), of L, of the match
    position: Tensor  # (B,), between 0, at the keyframe before, and 1, at the one behind
    trains: ClassVar[str] = "bidirectional"

    @property
    def found(self) -> TwoSided:
        """What the fusion of both sides reads."""
        forward, backward = (
            Estimate(self.forward_ab, self.forward_error),
            Estimate(self.backward_ab, self.backward_error),
        )
        match = _match(self.match_ab, self.similarity, self.difference)
        return TwoSided(self.luma, forward, backward, match, self.position)

    def reversed(self) -> Self:
        """See `KeptFrames.reversed`."""
        return replace(
            self,
            forward_ab=self.backward_ab,
            forward_error=self.backward_error,
            backward_ab=self.forward_ab,
            backward_error=self.forward_error,
            position=1 - self.position,
        )


@dataclass(frozen=True)
class SignalFrames(KeptFrames):
    """Frames of films that are coloured in one direction, and the signals that their fusion read."""

    carried_ab: Tensor  # (B, 2, H, W), CIELAB units
    carried_confidence: Tensor  # (B, 1, H, W), in [0, 1]
    flow_confidence: Tensor  # (B, 1, H, W), in [0, 1]
    match_ab: Tensor  # with references, at its finest; (B, 2, H, W)
    match_similarity: Tensor  # (B, 1, H, W), in [0, 1]
    match_difference: Tensor  # (B, 1, H, W), of L
    recent_ab: Tensor  # the same with frames coloured before; at similarity 0 where there are none
    recent_similarity: Tensor
    recent_difference: Tensor
    origin_difference: Tensor  # (B, 1, H, W), L at the carried colour's origin less L here
    origin_similarity: Tensor  # (B, 1, H, W), in [0, 1]
    trains: ClassVar[str] = "fusion"

    @property
    def signals(self) -> Signals:
        """What a fusion reads."""
        nothing = torch.zeros_like(self.true_ab)
        return Signals(
            self.luma,
            Propagation(self.carried_ab, self.carried_confidence),
            _match(self.match_ab, self.match_similarity, self.match_difference),
            _match(self.recent_ab, self.recent_similarity, self.recent_difference),
            Flow(nothing, self.flow_confidence),
            None,
            CarriedOrigin(self.origin_difference, self.origin_similarity),
        )

    @classmethod
    def of(cls, signals: Signals, true_ab: Tensor, names: Sequence[str] = ()) -> Self:
        """Keep the signals of frames whose true ab, (B, 2, H, W), is known."""
        match = signals.match.finest
        zero = torch.zeros_like(match.similarity)
        recent = _match(match.ab, zero, zero) if signals.recent is None else signals.recent.finest
        origin = signals.origin or CarriedOrigin(zero, zero)
        return cls(
            luma=signals.luma,
            true_ab=true_ab,
            carried_ab=signals.propagation.ab,
            carried_confidence=signals.propagation.confidence,
            flow_confidence=zero if signals.flow is None else signals.flow.confidence,
            match_ab=match.ab,
            match_similarity=match.similarity,
            match_difference=match.difference,
            recent_ab=recent.ab,
            recent_similarity=recent.similarity,
            recent_difference=recent.difference,
            origin_difference=origin.difference,
            origin_similarity=origin.similarity,
            names=names,
        )


def _match(ab: Tensor, similarity: Tensor, difference: Tensor) -> Match:
    return Match(ab, similarity, difference, torch.zeros_like(similarity, dtype=torch.int64))


KINDS = {kind.trains: kind for kind in (SignalFrames, TwoSidedFrames)}
