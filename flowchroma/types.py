"""Dataclasses that all packages share: (B, C, H, W) for a frame, (B, T, C, H, W) for a clip."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

_SMALL = 4096  # bytes


class _Packed(tuple[str, tuple[int, ...], bytes]):
    """A small tensor's type, shape and content: pickled faster than an array."""


class Movable:
    """Lets Lightning move and pin a dataclass of tensors, and processes hand it over."""

    def __getstate__(self) -> dict[str, Any]:
        """Small tensors go by value: between processes, sharing the memory of one costs more than its content."""
        return {key: _packed(value) if isinstance(value, Tensor) else value for key, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make them tensors again."""
        self.__dict__.update(
            {key: _unpacked(*value) if type(value) is _Packed else value for key, value in state.items()}
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Copy every tensor to `device`."""
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Copy every tensor to page-locked memory."""
        return self._map(lambda t: t.pin_memory())

    def _map(self, change) -> Self:
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        changed = {k: change(v) for k, v in values.items() if isinstance(v, Tensor)}
        inner = {k: v._map(change) for k, v in values.items() if isinstance(v, Movable)}
        return replace(self, **changed, **inner)  # type: ignore[type-var]


def _packed(tensor: Tensor) -> Tensor | _Packed:
    if tensor.is_cpu and 0 < tensor.nbytes <= _SMALL:
        array = tensor.numpy()
        return _Packed((array.dtype.char, array.shape, array.tobytes()))
    return tensor


def _unpacked(kind: str, shape: tuple[int, ...], content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(bytearray(content), kind).reshape(shape))


@dataclass(frozen=True)
class Clip(Movable):
    """A clip as networks and losses see it."""

    lab: Tensor  # (B, T, 3, H, W), CIELAB
    references: Tensor  # (B, R, 3, H, W), CIELAB
    flow: Tensor  # (B, T - 1, 2, H, W), pixels, backward: frame t to t - 1; 0 where unknown
    visible: Tensor  # (B, T - 1, 1, H, W), 1 where the pixel of frame t is also in frame t - 1, as far as known; else 0
    has_flow: Tensor  # (B,), bool: flow and visible are exact
    starts_coloured: Tensor  # (B,), bool: the reference is frame 0 itself, so its colour is known
    # (B,), bool: a reference is of the clip's own film, so that the film's colours can be found there
    own_colours: Tensor = field(default_factory=lambda: torch.tensor(True))
    names: Sequence[str] = ()

    @property
    def luma(self) -> Tensor:
        """(B, T, 1, H, W), L in [0, 100]."""
        return self.lab[:, :, :1]

    @property
    def ab(self) -> Tensor:
        """(B, T, 2, H, W), CIELAB units."""
        return self.lab[:, :, 1:]


@dataclass(frozen=True)
class Flow:
    """Motion from a frame back to the one before it."""

    flow: Tensor  # (B, 2, H, W), pixels, (x, y), on this frame's grid
    confidence: Tensor  # (B, 1, H, W), in [0, 1], in the colour carried
    refined: Tensor | None = None  # flow refined to where luminance agrees best; None if it was not

    @property
    def colour_flow(self) -> Tensor:
        """The flow that colour is carried along, (B, 2, H, W): `refined` where there is one.

        At the edge of a moving thing the light of its outline is found a little beside the motion: colour follows it.
        """
        return self.flow if self.refined is None else self.refined


@dataclass(frozen=True)
class Propagation:
    """Colour carried from the previous frame."""

    ab: Tensor  # (B, 2, H, W), CIELAB units
    confidence: Tensor  # (B, 1, H, W), in [0, 1], over all steps since the colour was given; 0 where none was carried


@dataclass(frozen=True)
class Match:
    """Colour found in the references."""

    ab: Tensor  # (B, 2, H, W), CIELAB units
    similarity: Tensor  # (B, 1, H, W), in [0, 1]
    difference: Tensor  # (B, 1, H, W), of L between what was found and the frame, at least 0
    source: Tensor  # (B, 1, H, W), int64: which of the memory's images the best position is of
    # The same by votes of single pixels (`ops.patch_votes`): sharper, and further off where wrong. None if not read.
    voted: "Match | None" = None
    features: Tensor | None = None  # (B, C, h, w), of unit length: what the frame was compared by; None if not kept

    @property
    def finest(self) -> "Match":
        """By votes of single pixels, where these were read."""
        return self if self.voted is None else self.voted
