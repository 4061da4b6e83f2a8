"""Each of the system's parts by itself."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from flowchroma import ops
from flowchroma.colorizers.baselines import gray
from flowchroma.models.contracts import FlowNetwork, Matcher
from flowchroma.models.flowchroma import encode_references
from flowchroma.models.state import FlowState, ReferenceMemory


@dataclass(frozen=True)
class Carried:
    """The last frame's colour, and what the flow network kept of that frame; None before the first."""

    ab: Tensor | None = None  # (B, 2, H, W), CIELAB units
    flow: FlowState | None = None


class PropagationAlone(nn.Module):
    """Colour carried from frame to frame along the flow, without the references. Bilinear."""

    def __init__(self, flow: FlowNetwork) -> None:
        super().__init__()
        self.flow = flow

    def start(self, *references: Tensor) -> Carried:
        """Keeps nothing: only a known frame gives colour."""
        return Carried()

    def observe(self, luma: Tensor, ab: Tensor, state: Carried) -> Carried:
        """Keep the frame."""
        return Carried(ab, self.flow.step(luma, state.flow)[1])

    def step(self, luma: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        """Carry the colour on by one frame; gray before any frame was known, and where there is no flow."""
        flow, kept = self.flow.step(luma, state.flow)
        ab = gray(luma) if state.ab is None or flow is None else ops.backward_warp(state.ab, flow.colour_flow)
        return ab, Carried(ab, kept)


@dataclass(frozen=True)
class Matched:
    """The references, and the last frame as coloured."""

    references: ReferenceMemory
    last: Tensor | None = None  # (B, 3, H, W), CIELAB


class MatchingAlone(nn.Module):
    """Every frame matched against the references, without flow."""

    def __init__(self, matcher: Matcher) -> None:
        super().__init__()
        self.matcher = matcher

    def start(self, *references: Tensor) -> Matched:
        """Encode the references."""
        return Matched(encode_references(self.matcher, references))

    def observe(self, luma: Tensor, ab: Tensor, state: Matched) -> Matched:
        """Keep the frame."""
        return replace(state, last=torch.cat([luma, ab], dim=1))

    def step(self, luma: Tensor, state: Matched) -> tuple[Tensor, Matched]:
        """The matched colour."""
        ab = self.matcher(luma, state.references, state.last).ab
        return ab, self.observe(luma, ab, state)
