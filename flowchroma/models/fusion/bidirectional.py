"""A fusion of what was found for a frame from the keyframes on both sides of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from flowchroma.color import chroma_distance, scale_ab, scale_luma
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.estimate import Estimate
from flowchroma.models.fusion.additive_unet import AdditiveUNet
from flowchroma.models.fusion.inputs import DISTANCE_SCALE, LARGEST_CHANGE, LUMA_SCALE, smoothed
from flowchroma.types import Match

CHANNELS = 16


@dataclass(frozen=True)
class TwoSided:
    """What is known of a frame between two keyframes; of each direction what it carries on."""

    luma: Tensor  # (B, 1, H, W), L in [0, 100]
    forward: Estimate  # from the frame before it
    backward: Estimate  # from the frame behind it
    match: Match  # with keyframes and references, at its finest
    position: Tensor  # (B,), between 0, at the keyframe before, and 1, at the one behind


class BidirectionalFusion(AdditiveUNet):
    """Weighs the colours of both directions and the matched one, pixel by pixel, and tells the error expected of it.

    It starts from the inverse squares of the three expected errors (Kalman, 1960), with little of the match, and learns
    to change the logarithms of these weights, and the share of the mean of 3 x 3 pixels. Softmax keeps the mixture
    within the colours that were found.

    Args:
        width: see `AdditiveUNet`.
        depth: likewise.
        error_model: gives the expected error of the match; None takes the defaults of `ErrorModel`.
    """

    def __init__(self, width: int = 24, depth: int = 3, error_model: ErrorModel | None = None) -> None:
        super().__init__(CHANNELS, 5, width, depth)
        self.error_model = error_model or ErrorModel()
        assert self.leave.bias is not None
        with torch.no_grad():
            self.leave.bias.view(5, 4)[2] = -2.0  # of the match: both directions have read it already
            self.leave.bias.view(5, 4)[4] = -1.0  # of the mean of 3 x 3 pixels: both sides are smooth already

    def forward(self, found: TwoSided) -> Estimate:
        """Fuse the colours of a frame: (B, 2, H, W) and (B, 1, H, W), CIELAB units; any size."""
        colours = torch.stack([found.forward.ab, found.backward.ab, found.match.ab.float()], dim=1)
        errors = torch.stack([found.forward.error, found.backward.error, self.error_model.matched_error(found.match)])
        out = self.compute(_read(found, errors)).float()
        weights = torch.softmax(out[:, :3] - 2 * errors.log().squeeze(2).transpose(0, 1), dim=1)
        independent = errors[:2].square().reciprocal().sum(dim=0).rsqrt()
        error = independent * out[:, 3:4].clamp(-LARGEST_CHANGE, LARGEST_CHANGE).exp()
        return Estimate(smoothed((weights[:, :, None] * colours).sum(dim=1), torch.sigmoid(out[:, 4:])), error)


def _read(found: TwoSided, errors: Tensor) -> Tensor:
    """What the network reads, (B, 16, H, W), about [-1, 1]."""
    colours = found.forward.ab, found.backward.ab, found.match.ab
    pairs = ((0, 1), (0, 2), (1, 2))
    distances = [chroma_distance(colours[a], colours[b]) / DISTANCE_SCALE for a, b in pairs]
    position = (found.position.view(-1, 1, 1, 1) - 0.5).expand_as(found.luma)
    return torch.cat(
        [
            scale_luma(found.luma),
            *(scale_ab(ab) for ab in colours),
            *((error.log() - 1) / 2 for error in errors),
            found.match.similarity,
            found.match.difference / LUMA_SCALE,
            *distances,
            position,
        ],
        dim=1,
    )
