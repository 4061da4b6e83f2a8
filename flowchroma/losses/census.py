"""Training flow by the order of neighbouring luminances, which a change of light hardly changes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from flowchroma.losses.flow_shared import discounted, previous_of, visible_weight
from flowchroma.losses.masking import total_weight
from flowchroma.losses.prediction import Prediction
from flowchroma.ops.warp import backward_warp

_NOISE = 0.9 * 100 / 255  # scale of a difference of luminance that counts as noise: 0.9 of 255 levels, in units of L
_DISTANCE = 0.1  # squared distance of two signs at which they count half


class FlowCensus(nn.Module):
    """Soft Hamming distance of the census transforms of frame t and of frame t - 1, warped along the flow.

    Meister et al., UnFlow, AAAI 2018, section 3.2, in the soft form of Jonschkowski et al., What Matters in
    Unsupervised Optical Flow, ECCV 2020: each difference d of a pixel to a neighbour, in units of L, becomes
    s = d / sqrt(0.35^2 + d^2), and (s - s')^2 / (0.1 + (s - s')^2) is averaged over all pairs of a pixel and a
    neighbour. Unlike there a pair counts only if both of its pixels do, so that neither the frame's border nor an
    occluded neighbour adds to it. In [0, 1); an offset of L changes nothing, a gain hardly anything.

    In items with exact motion the visible pixels count, in the others those whose flow stays within the frame, weighted
    by the estimated visibility where there is one.

    Args:
        gamma: discount of an iteration against the next; the weights are normalised to sum 1.
        radius: of the window; 3 is 7 x 7.
    """

    def __init__(self, gamma: float = 0.85, radius: int = 3) -> None:
        super().__init__()
        self.gamma, self.radius = gamma, radius

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: there is no previous frame, or no flow.
        """
        p = prediction
        previous, signs = previous_of(p, "census").luma.float(), self._signs(p.luma.float())

        def distance(flow: Tensor) -> Tensor:
            squared = (self._signs(backward_warp(previous, flow)) - signs).square()
            weight = visible_weight(p, flow)
            both = weight * self._neighbours(weight)
            return (both * squared / (_DISTANCE + squared)).sum() / total_weight(both)

        return discounted(p, self.gamma, distance)

    def _signs(self, luma: Tensor) -> Tensor:
        """Soft signs of the differences to half of the neighbours; the other half are the same pairs."""
        difference = self._neighbours(luma) - luma
        return difference * torch.rsqrt(_NOISE**2 + difference.square())

    def _neighbours(self, image: Tensor) -> Tensor:
        """(B, 1, H, W) to (B, ((2 radius + 1)^2 - 1) / 2, H, W): those to the right and below; 0 outside."""
        radius, (height, width) = self.radius, image.shape[-2:]
        padded = F.pad(image, (radius, radius, 0, radius))
        offsets = [(y, x) for y in range(radius + 1) for x in range(-radius, radius + 1) if y > 0 or x > 0]
        return torch.cat([padded[..., y : y + height, radius + x : radius + x + width] for y, x in offsets], dim=1)
