"""What every loss term receives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from flowchroma.color import lab_to_rgb

Features = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Prediction:
    """One frame's output, and everything that it is judged against. Terms use what they need.

    In a rollout each frame has its own. Handing all of them the very same `reference` tensor lets its features be
    computed once.
    """

    ab: Tensor  # (B, 2, H, W), CIELAB units: the output (in stage memflow, the carried colour)
    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    target_ab: Tensor  # (B, 2, H, W), CIELAB units: the truth
    mask: Tensor | None = None  # (B, 1, H, W), in [0, 1]: where the L1 term looks; everywhere by default
    reference: Tensor | None = None  # (B, 3, h, w), or several, (B, R, 3, h, w): CIELAB, of any size
    previous_ab: Tensor | None = None  # (B, 2, H, W): the output for frame t - 1; None on the first frame
    previous_luma: Tensor | None = None  # (B, 1, H, W)
    previous_target_ab: Tensor | None = None  # (B, 2, H, W)
    flow: Tensor | None = None  # (B, 2, H, W), pixels, backward: the network's estimate
    iterates: Sequence[Tensor] = ()  # each (B, 2, H, W): the estimate after each iteration, `flow` the last
    true_flow: Tensor | None = None  # (B, 2, H, W), meaningful where has_flow
    visible: Tensor | None = None  # (B, 1, H, W), 1 or 0: in frame t - 1 too; meaningful where has_flow
    seen: Tensor | None = None  # (B, 1, H, W), in [0, 1]: the same, estimated, for the others; None where it is not
    has_flow: Tensor | None = None  # (B,), bool: true_flow and visible are exact; False for all by default
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
    def exact(self) -> Tensor:
        """(B, 1, 1, 1), bool: which items have exact motion."""
        if self.has_flow is None or self.true_flow is None or self.visible is None:
            return torch.zeros(len(self.ab), 1, 1, 1, dtype=torch.bool, device=self.ab.device)
        return self.has_flow.bool().view(-1, 1, 1, 1)

    def features(self, trunk: Callable[[Tensor], Features]) -> Features:
        """Features of the output as sRGB, computed once for all terms that share `trunk`."""
        if trunk not in self._features:
            self._features[trunk] = trunk(lab_to_rgb(self.lab))
        return self._features[trunk]
