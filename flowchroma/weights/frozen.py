"""Networks that measure and never learn."""

from torch import nn


class Frozen(nn.Module):
    """Holds a network in evaluation mode and without gradients of its weights, also inside a module that trains."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Frozen":
        """Stay in evaluation mode."""
        return super().train(False)
