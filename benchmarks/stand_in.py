"""A system in the networks' place: colours a film in the mean colour of its references, at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flowchroma.models import FlowChroma
from flowchroma.models.contracts import Fusion
from flowchroma.models.state import FlowState, ReferenceMemory, Signals
from flowchroma.types import Flow, Match


class NoMotion(nn.Module):
    """Finds no flow, as after a cut."""

    def step(self, luma: Tensor, state: FlowState | None) -> tuple[Flow | None, FlowState]:
        """See `FlowNetwork`."""
        return None, FlowState(None, luma[:, :0], luma.new_zeros(1, 0, 1), luma.new_zeros(1, 0, 1))


class MeanColour(nn.Module):
    """Finds the mean colour of a memory everywhere; `calls` lists what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[int, ...]]] = []

    def encode_references(self, references: Tensor) -> ReferenceMemory:
        """See `Matcher`."""
        self.calls.append(("encode", tuple(references.shape)))
        mean = references.mean(dim=(3, 4))
        return ReferenceMemory(torch.ones_like(mean[:, :, :1]), mean, torch.arange(mean.shape[1]))

    def match(self, luma: Tensor, memories: Sequence[ReferenceMemory], last: Tensor | None = None) -> list[Match]:
        """See `Matcher`."""
        self.calls.append(("match", tuple(luma.shape)))
        nothing = torch.zeros_like(luma)
        means = [memory.lab[:, :, 1:].mean(dim=1)[:, :, None, None] for memory in memories]
        return [
            Match(mean.expand(-1, -1, *luma.shape[-2:]), nothing + 1, nothing, nothing[:, 0].long()) for mean in means
        ]


class MatchedColour(Fusion):
    """Takes the matched colour."""

    def forward(self, signals: Signals) -> Tensor:
        """See `Fusion`."""
        return signals.match.ab


def stand_in() -> FlowChroma:
    """A system of these."""
    return FlowChroma(NoMotion(), MeanColour(), MatchedColour())
