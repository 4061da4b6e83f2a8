"""Similarity to the reference, compared with the most similar position rather than with the same one."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flowchroma.losses.prediction import Prediction, UnfitLossError
from flowchroma.losses.trunk import FeatureTerm, LayerWeights, Trunk

Seeker = Literal["reference", "output"]

_EPSILON = 1e-5


class Contextual(FeatureTerm):
    """Weighted sum over layers of the contextual loss between features of the output and of the references.

    Mechrez, Talmi and Zelnik-Manor, The Contextual Loss for Image Transformation with Non-Aligned Data, ECCV 2018,
    section 3, by `contextual_loss`. Positions of several references are taken together, as if of one.

    Args:
        trunk: gives the features.
        layers: weight of each layer, or of each level of a `MatchingTrunk`.
        bandwidth: h. The paper has 0.5; 0.1, as in Zhang et al., Deep Exemplar-based Video Colorization, CVPR 2019,
            asks for a clearer best match.
        chunk: positions of the output compared at a time.
        seeker: see `contextual_loss`.
    """

    def __init__(
        self,
        trunk: Trunk,
        layers: LayerWeights,
        bandwidth: float = 0.1,
        chunk: int = 512,
        seeker: Seeker = "reference",
    ) -> None:
        super().__init__(trunk, layers)
        self.bandwidth, self.seeker, self.chunk = bandwidth, seeker, chunk

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            UnfitLossError: there is no reference.
        """
        if prediction.reference is None:
            raise UnfitLossError("the contextual loss needs a reference")
        output, reference = prediction.features(self.trunk), self.trunk.of_reference(prediction.reference)
        parts = [
            weight * contextual_loss(output[name], reference[name], self.bandwidth, self.chunk, self.seeker).mean()
            for name, weight in self.layers.items()
        ]
        return torch.stack(parts).sum()


def contextual_loss(
    output: Tensor, reference: Tensor, bandwidth: float = 0.1, chunk: int = 512, seeker: Seeker = "reference"
) -> Tensor:
    """Contextual loss of feature maps, -log CX (Mechrez et al. 2018, equations 2 to 5).

    With x_i, y_j the positions' features less the mean of y, of unit length: d_ij = 1 - x_i y_j;
    d'_ij = d_ij / (min_k d_ik + 1e-5); CX_ij = softmax over j of (1 - d'_ij) / h.

    Args:
        output: (B, C, h, w).
        reference: (B, C, h', w').
        bandwidth: h.
        chunk: rows i held at a time; the rest is computed again for the gradient, so that memory is chunk * h' * w'.
        seeker: the image whose every position needs a match in the other. "reference", as in the paper: CX = mean over
            j of max over i. "output", as in Zhang et al., CVPR 2019, section 3.3, and in SwinTExCo: mean over i of max
            over j, so that what the reference shows and the frame does not adds nothing.

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
            inputs = (part, y, bandwidth, seeker)
            if torch.is_grad_enabled():
                best.append(checkpoint(_best, *inputs, use_reentrant=False, preserve_rng_state=False))
            else:
                best.append(_best(*inputs))
        found = torch.stack(best).amax(dim=0) if seeker == "reference" else torch.cat(best, dim=1)
        return -found.mean(dim=1).log()


def _best(x: Tensor, y: Tensor, bandwidth: float, seeker: Seeker) -> Tensor:
    """Max of CX_ij for every column of y (B, C, M) over the rows of x (B, n, C): (B, M); or for every row: (B, n)."""
    distance = (1 - x @ y).clamp(min=0)
    relative = distance / (distance.amin(dim=2, keepdim=True) + _EPSILON)
    # A softmax is the same without the 1 of (1 - relative).
    return torch.softmax(-relative / bandwidth, dim=2).amax(dim=1 if seeker == "reference" else 2)
