"""Frames between two keyframes, and what was found for them from both sides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from flowchroma.models.bidirectional import TwoSided
from flowchroma.models.estimate import Estimate
from flowchroma.types import Match, Movable


@dataclass(frozen=True)
class TwoSidedFrames(Movable):
    """A batch of frames, of any films."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    true_ab: Tensor  # (B, 2, H, W), CIELAB units
    forward_ab: Tensor  # likewise, as found on the way forward
    forward_error: Tensor  # (B, 1, H, W), what is expected of it, CIELAB units
    backward_ab: Tensor  # the same of the way back
    backward_error: Tensor
    match_ab: Tensor  # as matched on the way forward, at its finest
    similarity: Tensor  # (B, 1, H, W), of the match, in [0, 1]
    difference: Tensor  # (B, 1, H, W), of L, of the match
    position: Tensor  # (B,), between 0, at the keyframe before, and 1, at the one behind
    names: Sequence[str] = ()  # B: the film and the frame

    @property
    def lab(self) -> Tensor:
        """(B, 3, H, W), CIELAB: the truth."""
        return torch.cat([self.luma, self.true_ab], dim=1)

    @property
    def found(self) -> TwoSided:
        """What the fusion of both sides reads."""
        nowhere = torch.zeros_like(self.similarity, dtype=torch.int64)
        match = Match(self.match_ab, self.similarity, self.difference, nowhere)
        forward, backward = (
            Estimate(self.forward_ab, self.forward_error),
            Estimate(self.backward_ab, self.backward_error),
        )
        return TwoSided(self.luma, forward, backward, match, self.position)

    def reversed(self) -> "TwoSidedFrames":
        """The same with the directions exchanged, as if the film ran backward."""
        return replace(
            self,
            forward_ab=self.backward_ab,
            forward_error=self.backward_error,
            backward_ab=self.forward_ab,
            backward_error=self.forward_error,
            position=1 - self.position,
        )

    def mirrored(self) -> "TwoSidedFrames":
        """The same, left and right exchanged."""
        return self.map(lambda name, value: value if name == "position" else value.flip(-1))

    def recoloured(self, matrix: Tensor) -> "TwoSidedFrames":
        """The same with every ab multiplied by a matrix, (2, 2)."""
        return self.map(
            lambda name, value: torch.einsum("ij,bjhw->bihw", matrix, value) if name.endswith("_ab") else value
        )

    def map(self, change: Callable[[str, Tensor], Tensor]) -> "TwoSidedFrames":
        """The same with each tensor changed, which is given with its name."""
        changed: dict[str, Any] = {name: change(name, getattr(self, name)) for name in TENSORS}
        return replace(self, **changed)

    @classmethod
    def join(cls, parts: Sequence["TwoSidedFrames"]) -> "TwoSidedFrames":
        """Several batches of one size as one."""
        tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in TENSORS}
        return cls(**tensors, names=[name for part in parts for name in part.names])


TENSORS = tuple(field.name for field in fields(TwoSidedFrames) if field.name != "names")
