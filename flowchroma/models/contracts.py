"""What each kind of network must give; which kind a class is of is told by its methods."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class FlowNetwork(Protocol):
    """Estimates optical flow frame by frame."""

    def step(self, luma: Tensor, state: Any) -> Any:
        """Take the next frame, L (B, 1, H, W): the flow to the frame before, and the state after it."""


@runtime_checkable
class Matcher(Protocol):
    """Finds a frame's colour in references."""

    def remember(self, references: Tensor) -> Any:
        """Encode references, Lab (B, R, 3, h, w)."""

    def look(self, luma: Tensor, memories: Any, last: Tensor | None = None) -> Any:
        """Match a frame, L (B, 1, H, W), against them."""


@runtime_checkable
class Fusion(Protocol):
    """Weighs propagated against matched colour."""

    def forward(self, signals: Any) -> Tensor:
        """Chrominance, (B, 2, H, W)."""


@runtime_checkable
class Colorizer(Protocol):
    """Colours a film frame by frame."""

    def start(self, *references: Tensor) -> Any:
        """The state before the first frame."""

    def step(self, luma: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The colour of the next frame, and the state after it."""
