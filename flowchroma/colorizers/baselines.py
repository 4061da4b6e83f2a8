"""What anyone has without a network: colorizers to compare with."""

from dataclasses import dataclass

from torch import Tensor

from flowchroma import ops


class Gray:
    """No colour at all."""

    def start(self, *references: Tensor) -> None:
        """Keeps nothing."""

    def observe(self, luma: Tensor, ab: Tensor, state: None) -> None:
        """Keeps nothing."""

    def step(self, luma: Tensor, state: None) -> tuple[Tensor, None]:
        """Zero chrominance, (B, 2, H, W)."""
        return gray(luma), None


class Hold:
    """The colour of the last known frame stays where it is."""

    def start(self, *references: Tensor) -> None:
        """Keeps nothing: only a known frame gives colour."""

    def observe(self, luma: Tensor, ab: Tensor, state: Tensor | None) -> Tensor:
        """Keep ab, (B, 2, H, W)."""
        return ab

    def step(self, luma: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The colour that was kept; gray before any frame was known."""
        return gray(luma) if state is None else state, state


@dataclass(frozen=True)
class LastFrame:
    """The last frame and its colour; None before the first."""

    luma: Tensor | None = None  # (B, 1, H, W), L in [0, 100]
    ab: Tensor | None = None  # (B, 2, H, W), CIELAB units


class ChainedDis:
    """Colour carried from frame to frame along OpenCV's DIS flow on luminance (Kroeger et al., ECCV 2016), bilinear.

    Args:
        preset: "ultrafast", "fast" or "medium".
    """

    def __init__(self, preset: str = "medium") -> None:
        self.preset = preset

    def start(self, *references: Tensor) -> LastFrame:
        """Keeps nothing: only a known frame gives colour."""
        return LastFrame()

    def observe(self, luma: Tensor, ab: Tensor, state: LastFrame) -> LastFrame:
        """Keep the frame."""
        return LastFrame(luma, ab)

    def step(self, luma: Tensor, state: LastFrame) -> tuple[Tensor, LastFrame]:
        """Carry the colour on by one frame; gray before any frame was known."""
        if state.luma is None or state.ab is None:
            ab = gray(luma)
        else:
            ab = ops.backward_warp(state.ab, ops.dis_flow(luma, state.luma, self.preset))
        return ab, LastFrame(luma, ab)


def gray(luma: Tensor) -> Tensor:
    """Zero chrominance (B, 2, H, W) for a frame (B, 1, H, W)."""
    return luma.new_zeros(len(luma), 2, *luma.shape[-2:])
