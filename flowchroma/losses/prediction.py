"""What every loss term receives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flowchroma.color import lab_to_rgb
from flowchroma.errors import UserError

Features = Mapping[str, Tensor]


class UnfitLossError(UserError, ValueError):
    """A term reads what its stage does not give."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}: choose a loss of this stage", code=2)


@dataclass(frozen=True, eq=False)
class PreviousFrame:
    """Frame t - 1."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    target_ab: Tensor  # (B, 2, H, W), CIELAB units: the truth
    ab: Tensor | None = None  # (B, 2, H, W): the output for it, where there is one


@dataclass(frozen=True, eq=False)
class EstimatedMotion:
    """A network's estimate of the flow from frame t to frame t - 1, in pixels."""

    flow: Tensor  # (B, 2, H, W)
    iterates: Sequence[Tensor] = ()  # each (B, 2, H, W): the estimate after each iteration, `flow` the last
    visible: Tensor | None = None  # (B, 1, H, W), in [0, 1]: estimated to be in frame t - 1 too; None where it is not


@dataclass(frozen=True, eq=False)
class ExactMotion:
    """Flow from frame t to frame t - 1, in pixels, of those items of a batch that have it exactly."""

    flow: Tensor  # (B, 2, H, W), meaningful where `known`
    visible: Tensor  # (B, 1, H, W), 1 or 0: in frame t - 1 too; meaningful where `known`
    known: Tensor  # (B,), bool


@dataclass(frozen=True, eq=False)
class Prediction:
    """One frame's output, and all that it is compared with. Terms use what they need.

    In a roll-out each frame has its own. Where all of them have the very same `reference` tensor, its features are
    computed once.
    """

    ab: Tensor  # (B, 2, H, W), CIELAB units: the output (in stage memflow, the carried colour)
    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    target_ab: Tensor  # (B, 2, H, W), CIELAB units: the truth
    mask: Tensor | None = None  # (B, 1, H, W), in [0, 1]: weight of a pixel in the L1 term; 1 by default
    reference: Tensor | None = None  # (B, 3, h, w), or several, (B, R, 3, h, w): CIELAB, of any size
    previous: PreviousFrame | None = None  # None on the first frame
    estimate: EstimatedMotion | None = None
    exact: ExactMotion | None = None  # None where no item has it
    expected: Tensor | None = None  # (B, 1, H, W), CIELAB units: the error expected of `ab`, where it is told
    start_ab: Tensor | None = None  # (B, 2, H, W), CIELAB units: what the output is a change of, where there is one
    _features: dict[object, Features] = field(default_factory=dict, init=False, repr=False)

    @property
    def lab(self) -> Tensor:
        """(B, 3, H, W): the output under the frame's luminance."""
        return torch.cat((self.luma.to(self.ab), self.ab), dim=1)

    @property
    def target_lab(self) -> Tensor:
        """(B, 3, H, W): the truth."""
        return torch.cat((self.luma, self.target_ab), dim=1)

    @property
    def has_exact(self) -> Tensor:
        """(B, 1, 1, 1), bool: which items have exact motion."""
        if self.exact is None:
            return torch.zeros(len(self.ab), 1, 1, 1, dtype=torch.bool, device=self.ab.device)
        return self.exact.known.bool().view(-1, 1, 1, 1)

    def features(self, trunk: Callable[[Tensor], Features]) -> Features:
        """Features of the output as sRGB, computed once for all terms that share `trunk`."""
        if trunk not in self._features:
            self._features[trunk] = trunk(lab_to_rgb(self.lab))
        return self._features[trunk]
