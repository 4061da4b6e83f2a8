"""What the networks keep from frame to frame, and what they find for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from flowchroma.types import Flow, Match, Propagation


@dataclass(frozen=True)
class ReferenceMemory:
    """Coloured images, encoded once: every position of every one of them."""

    keys: Tensor  # (B, N, C), unit length
    lab: Tensor  # (B, N, 3), CIELAB
    image: Tensor  # (N,), int64: which image a position is of
    patches: Tensor | None = None  # (B, N, 3 P), CIELAB, the pixels around a position; None if matches are not read so

    @staticmethod
    def join(memories: Sequence["ReferenceMemory"]) -> "ReferenceMemory":
        """All of them as one; images are counted on."""
        images, count = [], 0
        for memory in memories:
            images.append(memory.image + count)
            count += int(memory.image[-1]) + 1
        keys, lab = (torch.cat([getattr(m, name) for m in memories], dim=1) for name in ("keys", "lab"))
        patches = [m.patches for m in memories if m.patches is not None]
        return ReferenceMemory(keys, lab, torch.cat(images), torch.cat(patches, dim=1) if patches else None)


@dataclass(frozen=True)
class FlowState:
    """What the flow network keeps of the frame before, on its own padded grid."""

    pyramid: Any  # an ops.light.Pyramid of luminance (B, 1, H', W'), L in [0, 100], padded
    features: Tensor  # (B, C, h, w)
    keys: Tensor  # (B, M, D) stored attention keys; M is 0 before the first step
    values: Tensor  # (B, M, D)


@dataclass(frozen=True)
class State:
    """All that a film's next frame depends on. Its size does not grow with the film."""

    references: ReferenceMemory
    flow: FlowState | None = None  # None before the first frame
    ab: Tensor | None = None  # (B, 2, H, W), the colour given to the last frame
    luma: Tensor | None = None  # (B, 1, H, W), that frame's luminance
    worth: Tensor | None = None  # (B, 1, H, W), in [0, 1]: how far that colour can be trusted
    recent: tuple[ReferenceMemory, ...] = ()  # frames coloured before, the oldest first
    frames: int = 0  # coloured or known so far

    @property
    def last(self) -> Tensor | None:
        """The last frame as coloured, (B, 3, H, W), CIELAB; None before the first frame."""
        return None if self.ab is None or self.luma is None else torch.cat([self.luma, self.ab], dim=1)


@dataclass(frozen=True)
class Signals:
    """What both networks say of a frame, before they are weighed."""

    luma: Tensor  # (B, 1, H, W), the frame's own
    propagation: Propagation
    match: Match  # with the references
    recent: Match | None  # with frames coloured before; None where there are none, or the fusion does not ask
    flow: Flow | None  # None at a film's first frame
    flow_state: FlowState
