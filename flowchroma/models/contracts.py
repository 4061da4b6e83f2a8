"""What a flow network, a matcher, a fusion and a colorizer must give.

L is (B, 1, H, W) in [0, 100], ab (B, 2, H, W) in CIELAB units; any frame size, the same from frame to frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from flowchroma.models.error_model import ErrorModel
from flowchroma.models.state import FlowState, Known, ReferenceMemory, Signals
from flowchroma.types import Flow, Match


@runtime_checkable
class FlowNetwork(Protocol):
    """Motion between the frames of a film, one after the other: `MemFlow` and its like."""

    def step(self, luma: Tensor, state: FlowState | None) -> tuple[Flow | None, FlowState]:
        """Take the next frame.

        Args:
            luma: (B, 1, H, W).
            state: what the frame before left; None before a film's first frame.

        Returns:
            The flow from this frame back to the one before, None where there is none (at the start, and after a cut),
            and the state for the next frame.
        """


@runtime_checkable
class Matcher(Protocol):
    """Colour found in coloured images: `SwinTExCo` and its like."""

    def encode_references(self, references: Tensor, features: Tensor | None = None) -> ReferenceMemory:
        """Encode references (B, R, 3, H, W), CIELAB, of any size: every position of all of them as one memory.

        `features` are `Match.features` of a frame that is a reference now, where a match gave them; R is 1 then. A
        matcher that encodes references otherwise leaves them unread.
        """

    def __call__(self, luma: Tensor, memory: ReferenceMemory, last: Tensor | None = None) -> Match:
        """Find colour for a frame in one memory; as `match`, without votes."""

    def features(self, luma: Tensor) -> Tensor:
        """What a frame (B, 1, H, W) is compared by: (B, C, h, w), of unit length, as `Match.features`.

        The grid has a quarter of the frame's size, after `ops.pad_to_multiple`.
        """

    def match(self, luma: Tensor, memories: Sequence[ReferenceMemory], last: Tensor | None = None) -> list[Match]:
        """Find colour for a frame (B, 1, H, W) in each of several memories.

        A memory has patches where the match is wanted from single pixels as well. `last` is the frame before as
        coloured, (B, 3, H, W), CIELAB; None where there was none.
        """


@dataclass(frozen=True)
class Fused:
    """A frame's colour as a fusion made it."""

    ab: Tensor  # (B, 2, H, W), CIELAB units
    confidence: Tensor  # (B, 1, H, W), in [0, 1], in that colour, as `ErrorModel` reads it
    carried_share: Tensor | None = None  # (B, 1, H, W), in [0, 1], of the carried colour; None where it is unknown
    propagated: "Fused | None" = None  # what is carried to the next frame and kept; None where it is this

    def given(self, known: Known) -> "Fused":
        """The same for the items whose colour is not given; the given colour, with confidence 1, for the others."""
        propagated = None if self.propagated is None else self.propagated.given(known)
        ab, confidence = known.fill(self.ab, known.ab), known.fill(self.confidence, 1.0)
        return replace(self, ab=ab, confidence=confidence, propagated=propagated)


class Fusion(nn.Module):
    """Weighs the colours that were found for a frame.

    A base class and no Protocol: every module has a `forward`, and most fusions keep the defaults.

    Attributes:
        reads_recent: whether it reads `Signals.recent`, the match with frames coloured before; not computed else.
        reads_votes: whether it reads `Match.voted`; not computed else.
        reads_origin: whether it reads `Signals.origin`, and so gives `Fused.carried_share`; not computed else.
        propagates_rule: whether its own colour is only shown, and the rule's is `Fused.propagated`.

    Args:
        error_model: gives the confidence that colour is carried with; None takes the defaults of `ErrorModel`.
    """

    reads_recent = False
    reads_votes = False
    reads_origin = False
    propagates_rule = False

    def __init__(self, error_model: ErrorModel | None = None) -> None:
        super().__init__()
        self.error_model = error_model or ErrorModel()

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the colours of a frame: (B, 2, H, W), CIELAB units."""
        raise NotImplementedError

    def fuse(self, signals: Signals) -> Fused:
        """`forward`, and how sure the colour is: as sure as all that was found for it, weighed by expected errors."""
        return Fused(self(signals), self.error_model.fused_confidence(signals))


@runtime_checkable
class Colorizer(Protocol):
    """What colours a film, frame after frame: `FlowChroma`, its parts alone, and the baselines.

    A state is immutable and of a colorizer's own kind.
    """

    def start(self, *references: Tensor) -> Any:
        """The state before a film's first frame, given references, each (B, R, 3, h, w) in CIELAB."""

    def observe(self, luma: Tensor, ab: Tensor, state: Any) -> Any:
        """The state after a frame whose colour is given."""

    def step(self, luma: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The colour of the next frame, and the state after it."""
