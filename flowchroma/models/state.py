"""What the networks keep from frame to frame, what they find for one, and what is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    patches: Tensor | None = None  # (B, N, 3 P), CIELAB, the pixels around a position; None where none vote
    cells: Tensor | None = None  # (B, N / 4, C), `ops.cell_keys` of the keys; None where none are compared

    @staticmethod
    def join(memories: Sequence["ReferenceMemory"]) -> "ReferenceMemory":
        """All of them as one; images are counted on."""
        images, count = [], 0
        for memory in memories:
            images.append(memory.image + count)
            count += int(memory.image[-1]) + 1
        keys, lab = (torch.cat([getattr(m, name) for m in memories], dim=1) for name in ("keys", "lab"))
        parts = ([x for m in memories if (x := getattr(m, name)) is not None] for name in ("patches", "cells"))
        patches, cells = (torch.cat(found, dim=1) if found else None for found in parts)
        return ReferenceMemory(keys, lab, torch.cat(images), patches, cells)

    def split(self, counts: Sequence[int]) -> list["ReferenceMemory"]:
        """Memories of one image each, given the number of positions of each, that share what this one holds."""

        def parts(table: Tensor | None, share: int = 1) -> Sequence[Tensor | None]:
            return [None] * len(counts) if table is None else table.split([n // share for n in counts], dim=1)

        images = [torch.zeros_like(image) for image in self.image.split(list(counts))]
        columns = (parts(self.keys), parts(self.lab), images, parts(self.patches), parts(self.cells, 4))
        return [ReferenceMemory(*row) for row in zip(*columns, strict=True)]  # type: ignore[arg-type]


class RecentFrames(tuple[ReferenceMemory, ...]):
    """Frames coloured before, the oldest first, one image each; all are held once, as one memory."""

    joined: ReferenceMemory | None  # all as one; None where there are none

    def __new__(cls, frames: Sequence[ReferenceMemory] = ()) -> "RecentFrames":
        """Join them."""
        joined = ReferenceMemory.join(frames) if frames else None
        self = super().__new__(cls, joined.split([frame.keys.shape[1] for frame in frames]) if joined else ())
        self.joined = joined
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as the frames, which are joined again."""
        return RecentFrames, (tuple(self),)


@dataclass(frozen=True)
class FlowState:
    """What the flow network keeps of the frame before, on its own padded grid."""

    pyramid: Any  # an ops.luminance.Pyramid of luminance (B, 1, H', W'), L in [0, 100], padded
    features: Tensor  # (B, C, h, w)
    keys: Tensor  # (B, M, D) stored attention keys; M is 0 before the first step
    values: Tensor  # (B, M, D)


@dataclass(frozen=True)
class Origin:
    """How the place looked where each pixel's colour was given or found. It is carried along with the colour."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    features: Tensor  # (B, C, h, w), of unit length, what the matcher compares frames by; about a quarter of the size

    def detached(self) -> "Origin":
        """The same without gradients."""
        return Origin(self.luma.detach(), self.features.detach())


@dataclass(frozen=True)
class State:
    """All that a film's next frame depends on. Its size does not grow with the film."""

    references: ReferenceMemory
    flow: FlowState | None = None  # None before the first frame
    ab: Tensor | None = None  # (B, 2, H, W), the last frame's colour that is carried on
    luma: Tensor | None = None  # (B, 1, H, W), that frame's luminance
    confidence: Tensor | None = None  # (B, 1, H, W), in [0, 1], in that colour; 1 where it was given
    recent: RecentFrames = field(default_factory=RecentFrames)  # frames coloured before
    frames: int = 0  # taken so far
    origin: Origin | None = None  # of that colour; None where the fusion does not read it

    @property
    def last(self) -> Tensor | None:
        """The last frame as coloured, (B, 3, H, W), CIELAB; None before the first frame."""
        return None if self.ab is None or self.luma is None else torch.cat([self.luma, self.ab], dim=1)


@dataclass(frozen=True)
class CarriedOrigin:
    """How a frame looks against the origin of the colour that is carried to it."""

    difference: Tensor  # (B, 1, H, W), L at the origin less L here; 0 where nothing was carried
    similarity: Tensor  # (B, 1, H, W), in [0, 1], cosine of the features; 0 at a film's first frame
    origin: Origin | None = None  # the frame's own where nothing was carried; None where signals were kept in a file
    frame: Origin | None = None  # the frame's own; None likewise


@dataclass(frozen=True)
class Signals:
    """What both networks find for a frame, before it is fused."""

    luma: Tensor  # (B, 1, H, W), the frame's own
    propagation: Propagation
    match: Match  # with the references
    recent: Match | None  # with frames coloured before; None where there are none, or the fusion does not ask
    flow: Flow | None  # None at a film's first frame
    flow_state: FlowState | None  # None where signals were kept in a file
    origin: CarriedOrigin | None = None  # of the carried colour; None where the fusion does not read it


@dataclass(frozen=True)
class Known:
    """A frame's colour, given for all items of a batch or some of them."""

    ab: Tensor  # (B, 2, H, W), CIELAB units
    items: Tensor | None = None  # (B,), bool: those whose colour is given; None for all

    @property
    def whole(self) -> bool:
        """Whether the colour of every item is given."""
        return self.items is None or bool(self.items.all())

    def fill(self, estimated: Tensor, given: Tensor | float) -> Tensor:
        """(B, C, H, W): `given` for the items whose colour is given, `estimated` for the others."""
        return estimated if self.items is None else torch.where(self.items.view(-1, 1, 1, 1), given, estimated)

    def fill_origin(self, estimated: Origin | None, carried: CarriedOrigin | None) -> Origin | None:
        """The frame's own look for the items whose colour is given, `estimated` for the others."""
        frame = None if carried is None else carried.frame
        if estimated is None or frame is None:
            return None
        return Origin(self.fill(estimated.luma, frame.luma), self.fill(estimated.features, frame.features))


@dataclass(frozen=True)
class ColouredFrame:
    """A frame as the system left it."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    ab: Tensor  # (B, 2, H, W), CIELAB units, given or fused
    confidence: Tensor  # (B, 1, H, W), in [0, 1], in that colour; 1 where it was given
    signals: Signals | None  # None where the colour of every item was given: nothing was estimated
    state: State  # after the frame
