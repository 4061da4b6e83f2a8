"""A few convolutions that correct the better of the two colours."""

from torch import Tensor, nn

from flowchroma.color import unscale_ab
from flowchroma.models.contracts import Fusion
from flowchroma.models.fusion.inputs import CHANNELS, carried_or_matched, stack_inputs
from flowchroma.models.state import Signals


class SimpleFusion(Fusion):
    """Four convolutions, 7 channels in, 2 out; at width 56, 48,554 parameters.

    The output is a correction of the carried colour where there is any, and of the matched colour where there is none.
    It starts at zero, so that an untrained network changes nothing.

    Args:
        width: channels of the hidden layers; the last has four sevenths of it.
    """

    def __init__(self, width: int = 56) -> None:
        super().__init__()
        narrow = width * 4 // 7
        self.layers = nn.Sequential(
            nn.Conv2d(CHANNELS, width, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(width, narrow, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
        )
        self.correction = nn.Conv2d(narrow, 2, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.correction.weight)
        assert self.correction.bias is not None
        nn.init.zeros_(self.correction.bias)

    def forward(self, signals: Signals) -> Tensor:
        """Fuse the two colours of a frame: (B, 2, H, W), CIELAB units."""
        correction = self.correction(self.layers(stack_inputs(signals)))
        base = carried_or_matched(signals)
        return base + unscale_ab(correction.to(base.dtype))
