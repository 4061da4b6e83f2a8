"""The system's parts by themselves, and what anyone has without it: colorizers to compare with."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from flowchroma import ops
from flowchroma.models.flowchroma import remember
from flowchroma.models.memflow import MemFlow
from flowchroma.models.state import FlowState, ReferenceMemory
from flowchroma.models.swintexco import Matcher


class Gray:
    """No colour at all."""

    def start(self, *references: Tensor) -> None:
        """Nothing to remember."""

    def know(self, luma: Tensor, ab: Tensor, state: None) -> None:
        """Nothing to remember."""

    def step(self, luma: Tensor, state: None) -> tuple[Tensor, None]:
        """Zero chrominance, (B, 2, H, W)."""
        return luma.new_zeros(len(luma), 2, *luma.shape[-2:]), None


class Hold(Gray):
    """The colour of the last known frame stays where it is."""

    def know(self, luma: Tensor, ab: Tensor, state: Tensor | None) -> Tensor:  # type: ignore[override]
        """Remember ab, (B, 2, H, W)."""
        return ab

    def step(self, luma: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:  # type: ignore[override]
        """The remembered colour; gray before any frame was known."""
        return super().step(luma, None)[0] if state is None else state, state


@dataclass(frozen=True)
class Carried:
    """The last frame, its colour, and what the flow network kept of it."""

    luma: Tensor | None = None  # (B, 1, H, W)
    ab: Tensor | None = None  # (B, 2, H, W)
    flow: FlowState | None = None


class ChainedDis:
    """Colour carried from frame to frame along OpenCV's DIS flow on luminance (Kroeger et al., ECCV 2016), bilinear.

    Args:
        preset: "ultrafast", "fast" or "medium".
    """

    def __init__(self, preset: str = "medium") -> None:
        self.preset = preset

    def start(self, *references: Tensor) -> Carried:
        """Nothing to remember: only a known frame gives colour."""
        return Carried()

    def know(self, luma: Tensor, ab: Tensor, state: Carried) -> Carried:
        """Remember the frame."""
        return Carried(luma, ab)

    def step(self, luma: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        """Carry the colour on by one frame; gray before any frame was known."""
        if state.luma is None or state.ab is None:
            ab = Gray().step(luma, None)[0]
        else:
            ab = ops.backward_warp(state.ab, ops.dis_flow(luma, state.luma, self.preset))
        return ab, Carried(luma, ab)


class PropagationAlone(nn.Module):
    """Colour carried from frame to frame along MemFlow's flow, with no look at the reference.

    Args:
        flow: the flow network.
    """

    def __init__(self, flow: MemFlow) -> None:
        super().__init__()
        self.flow = flow

    def start(self, *references: Tensor) -> Carried:
        """Nothing to remember: only a known frame gives colour."""
        return Carried()

    def know(self, luma: Tensor, ab: Tensor, state: Carried) -> Carried:
        """Remember the frame."""
        return Carried(None, ab, self.flow.step(luma, state.flow)[1])

    def step(self, luma: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        """Carry the colour on by one frame; gray before any frame was known."""
        flow, kept = self.flow.step(luma, state.flow)
        known = state.ab is not None and flow is not None
        ab = ops.backward_warp(state.ab, flow.carrier) if known else Gray().step(luma, None)[0]  # type: ignore[arg-type, union-attr]
        return ab, replace(state, ab=ab, flow=kept)


@dataclass(frozen=True)
class Matched:
    """The references, and the last frame as coloured."""

    references: ReferenceMemory
    last: Tensor | None = None  # (B, 3, H, W), CIELAB


class MatchingAlone(nn.Module):
    """Every frame matched against the references, with no flow.

    Args:
        matcher: SwinTExCo.
    """

    def __init__(self, matcher: Matcher) -> None:
        super().__init__()
        self.matcher = matcher

    def start(self, *references: Tensor) -> Matched:
        """Encode the references."""
        return Matched(remember(self.matcher, references))

    def know(self, luma: Tensor, ab: Tensor, state: Matched) -> Matched:
        """Remember the frame."""
        return replace(state, last=torch.cat([luma, ab], dim=1))

    def step(self, luma: Tensor, state: Matched) -> tuple[Tensor, Matched]:
        """The matched colour."""
        ab = self.matcher(luma, state.references, state.last).ab
        return ab, self.know(luma, ab, state)
