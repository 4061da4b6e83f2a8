"""Smoothness of colour, demanded between neighbours that are alike in the true frame."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma.losses.prediction import Prediction


class ChromaSmoothness(nn.Module):
    """Mean of (ab_i - sum over j of w_ij ab_j)^2, j being the nine pixels about i, in CIELAB units squared.

    w_ij = softmax over j of -|Lab_i - Lab_j|^2 / spread, of the true frame: neighbours that are alike there, in
    luminance and colour, should be alike in the output; across edges w is near 0. Zhang et al., Deep Exemplar-based
    Video Colorization, CVPR 2019, section 3.3, have it with the affinities of the weighted least squares filter; this
    form, and the spread of 10, is that of their program and of SwinTExCo's. The border is repeated.

    Args:
        spread: squared difference at which a neighbour weighs 1 / e of an equal one.
    """

    def __init__(self, spread: float = 10.0) -> None:
        super().__init__()
        self.spread = spread

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        ab = prediction.ab.float()
        with torch.no_grad():
            truth = prediction.target_lab.float()
            distance = (_neighbours(truth) - truth[:, :, None]).square().sum(dim=1, keepdim=True)
            weight = torch.softmax(-distance / self.spread, dim=2)
        return (ab - (weight * _neighbours(ab)).sum(dim=2)).square().mean()


def _neighbours(image: Tensor) -> Tensor:
    """(B, C, H, W) to the nine about each pixel, itself among them: (B, C, 9, H, W)."""
    height, width = image.shape[-2:]
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    shifted = [padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return torch.stack(shifted, dim=2)
