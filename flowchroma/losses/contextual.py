"""Likeness to the reference, wherever in it the like is found."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flowchroma.losses.batch import Prediction
from flowchroma.losses.trunk import SharedTrunk

_EPSILON = 1e-5


class Contextual(nn.Module):
    """Weighted mean over layers of the contextual loss between features of the output and of the reference.

    Mechrez, Talmi and Zelnik-Manor, The Contextual Loss for Image Transformation with Non-Aligned Data, ECCV 2018,
    section 3; see `contextual_loss`.

    Args:
        trunk: gives the features.
        layers: weight of each layer; they are normalised to sum 1.
        bandwidth: h. The paper has 0.5; 0.1, as in Zhang et al., Deep Exemplar-based Video Colorization, CVPR 2019,
            asks for a clearer best match.
        chunk: positions of the output compared at a time.
    """

    def __init__(
        self, trunk: SharedTrunk, layers: Mapping[str, float], bandwidth: float = 0.1, chunk: int = 512
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.layers = {name: weight / sum(layers.values()) for name, weight in layers.items()}
        self.bandwidth, self.chunk = bandwidth, chunk

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: there is no reference.
        """
        if prediction.reference is None:
            raise ValueError("the contextual loss needs a reference")
        output, reference = prediction.features(self.trunk), self.trunk.of_reference(prediction.reference)
        parts = [
            weight * contextual_loss(output[name], reference[name], self.bandwidth, self.chunk).mean()
            for name, weight in self.layers.items()
        ]
        return torch.stack(parts).sum()


def contextual_loss(output: Tensor, reference: Tensor, bandwidth: float = 0.1, chunk: int = 512) -> Tensor:
    """Contextual loss of feature maps, -log CX (Mechrez et al. 2018, equations 2 to 5).

    With x_i, y_j the positions' features less the mean of y, of unit length: d_ij = 1 - x_i y_j;
    d'_ij = d_ij / (min_k d_ik + 1e-5); CX_ij = softmax over j of (1 - d'_ij) / h; CX = mean over j of max over i.

    Args:
        output: (B, C, h, w).
        reference: (B, C, h', w').
        bandwidth: h.
        chunk: rows i held at a time; the rest is computed again for the gradient, so that memory is chunk * h' * w'.

    Returns:
        (B,), at least 0. Float32 (float64 for float64 input), also under autocast.
    """
    with torch.autocast(output.device.type, enabled=False):
        dtype = torch.promote_types(output.dtype, torch.float32)
        x, y = output.to(dtype).flatten(2), reference.to(dtype).flatten(2)
        centre = y.mean(dim=2, keepdim=True)
        x = nn.functional.normalize(x - centre, dim=1).transpose(1, 2)
        y = nn.functional.normalize(y - centre, dim=1)
        best = []
        for part in x.split(chunk, dim=1):
            if torch.is_grad_enabled():
                best.append(checkpoint(_best, part, y, bandwidth, use_reentrant=False, preserve_rng_state=False))
            else:
                best.append(_best(part, y, bandwidth))
        return -torch.stack(best).amax(dim=0).mean(dim=1).log()


def _best(x: Tensor, y: Tensor, bandwidth: float) -> Tensor:
    """Max over the rows of x (B, n, C) of CX_ij, for every column of y (B, C, M): (B, M)."""
    distance = (1 - x @ y).clamp(min=0)
    relative = distance / (distance.amin(dim=2, keepdim=True) + _EPSILON)
    # The softmax does not see the 1 of (1 - relative).
    return torch.softmax(-relative / bandwidth, dim=2).amax(dim=1)
