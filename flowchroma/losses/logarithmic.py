"""Distance of the colour as its peak signal-to-noise ratio measures it."""

import torch
from torch import Tensor, nn

from flowchroma.losses.batch import Prediction
from flowchroma.losses.masking import masked_mean


class Logarithmic(nn.Module):
    """Mean over frames of log10 of the frame's mean squared error of ab: a tenth of the decibels lost.

    A tenth less error counts the same in a frame that is nearly right as in one that is far off, where the mean of
    errors is made by the hardest few. Only pixels of `mask` count (all by default), and no frame without any.

    Args:
        floor: in CIELAB units: smaller errors are not worth less error.
    """

    def __init__(self, floor: float = 0.5) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        squares = (prediction.ab.float() - prediction.target_ab.float()).square().mean(dim=1, keepdim=True)
        mask = torch.ones_like(squares) if prediction.mask is None else prediction.mask.to(squares)
        pixels = mask.sum(dim=(1, 2, 3), keepdim=True)
        mean = (squares * mask).sum(dim=(1, 2, 3), keepdim=True) / pixels.clamp(min=1)
        return masked_mean(torch.log10(mean + self.floor**2), (pixels > 0).float())
