"""What rooms hand each other. Frozen, typed, with shapes: (B, C, H, W) for a frame, (B, T, C, H, W) for a clip."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import torch
from numpy import ndarray
from torch import Tensor

_SMALL = 4096  # bytes


class _Movable:
    """Lets Lightning move and pin a dataclass of tensors, and processes hand it over."""

    def __getstate__(self) -> dict[str, Any]:
        """Small tensors go by value: between processes, sharing the memory of one costs more than its content."""
        return {
            key: value.numpy() if isinstance(value, Tensor) and value.nbytes <= _SMALL and value.is_cpu else value
            for key, value in self.__dict__.items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make them tensors again."""
        self.__dict__.update(
            {key: torch.as_tensor(value) if isinstance(value, ndarray) else value for key, value in state.items()}
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
        inner = {k: v._map(change) for k, v in values.items() if isinstance(v, _Movable)}
        return replace(self, **changed, **inner)  # type: ignore[type-var]


@dataclass(frozen=True)
class Looks(_Movable):
    """How a clip's T frames, and after them its R references, are to be varied: drawn in a worker, done on the device.

    That of a single item has no leading B.
    """

    colour: Tensor  # (B, T + R, 3, 3), mixes the channels of RGB
    # Lists of numbers that do not leave the host.
    blur: Sequence[Any]  # (B, T + R), standard deviation, pixels
    grain: Sequence[Any]  # (B, T + R), standard deviation, of RGB in [0, 1]
    warp: Sequence[Any]  # (B, T + R), None or an affine map, for `flowchroma.data.geometry.warp_affine`
    seed: Any  # (B,), of the grain


@dataclass(frozen=True)
class RawClip(_Movable):
    """A clip as workers hand it over: 8-bit, so that colour is varied and converted once, on the device.

    A single item has no leading B; `names` and `skipped` are then what that item contributes.
    """

    rgb: Tensor  # (B, T, 3, H, W), uint8
    references: Tensor  # (B, R, 3, H, W), uint8
    # Both None in a batch of clips whose motion is unknown.
    flow: Tensor | None  # (B, T - 1, 2, H, W), float32, pixels, backward (frame t to t - 1); 0 where unknown
    visible: Tensor | None  # (B, T - 1, 1, H, W), bool: the pixel of frame t is also in frame t - 1, as far as known
    has_flow: Tensor  # (B,), bool: flow and visible are exact
    starts_coloured: Tensor  # (B,), bool: the reference is frame 0 itself, so its colour is known
    # (B,), bool: a reference is of the clip's own film, so that the film's colours can be found there
    own_colours: Tensor = field(default_factory=lambda: torch.tensor(True))
    names: Sequence[str] = ()  # the film and the frames of each item
    skipped: Sequence[str] = ()  # films that could not be read on the way to these items, with the reason
    looks: Looks | None = None  # None leaves the frames as they are


@dataclass(frozen=True)
class Clip(_Movable):
    """A clip as networks and losses see it."""

    lab: Tensor  # (B, T, 3, H, W), CIELAB
    references: Tensor  # (B, R, 3, H, W), CIELAB
    flow: Tensor  # as in RawClip
    visible: Tensor  # as in RawClip, float: 1 or 0
    has_flow: Tensor  # (B,), bool
    starts_coloured: Tensor  # (B,), bool
    own_colours: Tensor = field(default_factory=lambda: torch.tensor(True))  # as in RawClip
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
    polished: Tensor | None = None  # the flow led on to where the light agrees best; None where nothing led it

    @property
    def carrier(self) -> Tensor:
        """What colour is carried along, (B, 2, H, W): the light shows where a colour is, whatever it was that moved."""
        return self.flow if self.polished is None else self.polished


@dataclass(frozen=True)
class Propagation:
    """Colour carried from the previous frame."""

    ab: Tensor  # (B, 2, H, W), CIELAB units
    confidence: Tensor  # (B, 1, H, W), in [0, 1], since the colour was given or found; 0 where nothing was carried


@dataclass(frozen=True)
class Match:
    """Colour found in the references."""

    ab: Tensor  # (B, 2, H, W), CIELAB units
    similarity: Tensor  # (B, 1, H, W), in [0, 1]
    difference: Tensor  # (B, 1, H, W), of L between what was found and the frame, at least 0
    source: Tensor  # (B, 1, H, W), int64: which of the memory's images the best position is of
    # The same read from single pixels, see `ops.vote`: sharper, and further off where it is wrong. None if not read.
    close: "Match | None" = None

    @property
    def closest(self) -> "Match":
        """As read from single pixels, if it was."""
        return self if self.close is None else self.close


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
