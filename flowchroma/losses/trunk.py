"""The frozen feature network that terms share."""

from collections.abc import Mapping

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
        self._prepare(rgb.device)
        with torch.autocast(rgb.device.type, enabled=False):
            return self.network(rgb.float())

    @torch.no_grad()
    def constant(self, lab: Tensor) -> Features:
        """Compute the features of CIELAB images that need no gradient.

        Args:
            lab: (B, 3, H, W); or (B, R, 3, H, W), and then the R maps of an item lie one below the other.
        """
        if lab.ndim == 4:
            return self(lab_to_rgb(lab))
        found = self(lab_to_rgb(lab.flatten(0, 1)))
        return {k: f.unflatten(0, lab.shape[:2]).transpose(1, 2).flatten(2, 3) for k, f in found.items()}

    def of_reference(self, lab: Tensor) -> Features:
        """Like `constant`, remembering the last result: a clip's frames share one reference."""
        if torch.is_inference_mode_enabled() or lab.is_inference():  # without version counter, and unfit for training
            return self.constant(lab)
        if self._reference is None or self._reference[0] is not lab or self._reference[1] != lab._version:
            self._reference = (lab, lab._version, self.constant(lab))
        return self._reference[2]

    def _prepare(self, device: torch.device) -> None:
        with torch.inference_mode(False):  # weights moved by a validation must still serve training
            self.network.to(device)


class BorrowedTrunk(SharedTrunk):
    """The trunk of the very network that is trained: it is where that network is, and is frozen in it.

    A trunk that judges must not learn: it would learn to be pleased.

    Args:
        network: sRGB in [0, 1], (B, 3, H, W), to levels, the finest first: a list, or by name.

    The levels are named "deepest", "deepest-1" and so on towards the finest.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        with torch.no_grad():
            found = self(torch.zeros(1, 3, 64, 64, device=next(network.parameters()).device))
        self.layers = tuple(found)  # the deepest first

    def __call__(self, rgb: Tensor) -> Features:
        """Compute the features of sRGB images."""
        found = super().__call__(rgb)
        levels = list(found.values()) if isinstance(found, Mapping) else list(found)
        return {f"deepest-{depth}" if depth else "deepest": level for depth, level in enumerate(reversed(levels))}

    def _prepare(self, device: torch.device) -> None:
        self.network.eval()  # whoever trains the whole network has switched it
