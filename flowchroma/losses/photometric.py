"""Training flow by the luminance that it carries."""

from torch import Tensor, nn

from flowchroma.losses.batch import Prediction
from flowchroma.losses.flow_shared import discounted, frames_of, judged, robust
from flowchroma.losses.masking import masked_mean
from flowchroma.ops.warp import backward_warp


class FlowPhotometric(nn.Module):
    """How far the luminance of frame t - 1, carried along the flow, is from that of frame t.

    Mean of (x + 0.01)^0.4 - 0.01^0.4 of x = |difference| / 100 (Liu et al., DDFlow, AAAI 2019, section 3). It takes a
    change of light for motion; `FlowCensus` does not. Judged where `FlowCensus` is.

    Args:
        gamma: discount of an iteration against the next; the weights are normalised to sum 1.
    """

    def __init__(self, gamma: float = 0.85) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: the luminance of the frame before is missing.
        """
        p = prediction
        frame, before = frames_of(p, "photometric")

        def difference(flow: Tensor) -> Tensor:
            error = (backward_warp(before, flow) - frame).abs() / 100
            return masked_mean(robust(error), judged(p, flow))

        return discounted(p, self.gamma, difference)
