"""A fusion of three colours: carried, matched with the references, matched with frames coloured before."""

import torch
from torch import Tensor

from flowchroma.color import scale_ab, scale_luma, unscale_ab
from flowchroma.models.contracts import Fusion
from flowchroma.models.error_model import ErrorModel
from flowchroma.models.fusion.additive_unet import AdditiveUNet
from flowchroma.models.fusion.inputs import LUMA_SCALE
from flowchroma.models.fusion.inverse_variance import InverseVarianceFusion, candidate_colours
from flowchroma.models.state import Signals

CHANNELS = 13


class BlendFusion(AdditiveUNet, Fusion):
    """`InverseVarianceFusion` with weights that a network changes, and a correction of their mixture.

    A U-Net reads luminance, the three colours, and what is known of each, and changes the logarithms of their weights.
    Softmax keeps the mixture within the colours that were found. Both the changes and the correction start at zero.

    Args:
        width: see `AdditiveUNet`.
        depth: likewise.
        error_model: gives the expected errors; None takes the defaults of `ErrorModel`.
    """

    reads_recent = True
    reads_votes = True

    def __init__(self, width: int = 24, depth: int = 3, error_model: ErrorModel | None = None) -> None:
        super().__init__(CHANNELS, 5, width, depth)
        self.error_model = error_model or ErrorModel()
        self.untrained = InverseVarianceFusion(self.error_model)

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the colours of a frame: (B, 2, H, W), CIELAB units; any size."""
        out = self.compute(_read(signals)).float()
        mixture = self.untrained.weigh(signals, out[:, :3])
        return mixture + unscale_ab(out[:, 3:]).to(mixture.dtype)


def _read(signals: Signals) -> Tensor:
    """What the network reads, (B, 13, H, W), about [-1, 1]."""
    carried = signals.propagation.confidence
    base, *matches = candidate_colours(signals)
    now = torch.zeros_like(carried) if signals.flow is None else signals.flow.confidence
    read = [scale_luma(signals.luma), scale_ab(base), carried, now]
    for found in matches:
        read += [scale_ab(found.ab), found.similarity, found.difference / LUMA_SCALE]
    return torch.cat(read, dim=1)
