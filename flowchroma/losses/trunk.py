"""The frozen feature network that terms share."""

import torch
from torch import Tensor, nn

from flowchroma.color import lab_to_rgb
from flowchroma.losses.batch import Features


class SharedTrunk:
    """A frozen network that is no part of the loss's parameters, state_dict or process group.

    Not a module on purpose: a checkpoint must not carry it, an optimizer not see it, and several processes not
    exchange it. It moves to the device of what it is given. Features are float32, also under autocast.

    Args:
        network: sRGB in [0, 1], (B, 3, H, W), to features by layer name.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval().requires_grad_(False)
        self._reference: tuple[Tensor, int, Features] | None = None

    def __call__(self, rgb: Tensor) -> Features:
        """Compute the features of sRGB images."""
        with torch.inference_mode(False):  # weights moved by a validation must still serve training
            self.network.to(rgb.device)
        with torch.autocast(rgb.device.type, enabled=False):
            return self.network(rgb.float())

    @torch.no_grad()
    def constant(self, lab: Tensor) -> Features:
        """Compute the features of CIELAB images (B, 3, H, W) that need no gradient."""
        return self(lab_to_rgb(lab))

    def of_reference(self, lab: Tensor) -> Features:
        """Like `constant`, remembering the last result: a clip's frames share one reference."""
        if torch.is_inference_mode_enabled() or lab.is_inference():  # without version counter, and unfit for training
            return self.constant(lab)
        if self._reference is None or self._reference[0] is not lab or self._reference[1] != lab._version:
            self._reference = (lab, lab._version, self.constant(lab))
        return self._reference[2]
