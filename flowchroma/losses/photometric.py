"""Training flow by the luminance that it carries."""

from torch import Tensor, nn

from flowchroma.losses.flow_shared import discounted, previous_of, robust, visible_weight
from flowchroma.losses.masking import masked_mean
from flowchroma.losses.prediction import Prediction
from flowchroma.ops.warp import backward_warp


class FlowPhotometric(nn.Module):
    """How far the luminance of frame t - 1, carried along the flow, is from that of frame t.

    Mean of (x + 0.01)^0.4 - 0.01^0.4 of x = |difference| / 100 (Liu et al., DDFlow, AAAI 2019, section 3). A
    change of light raises it, as a wrong flow does; that of `FlowCensus` hardly. The same pixels count as there.

    Args:
        gamma: discount of an iteration against the next; the weights are normalised to sum 1.
    """

    def __init__(self, gamma: float = 0.85) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar.

        Raises:
            ValueError: there is no previous frame, or no flow.
        """
        p = prediction
        luma, previous = p.luma.float(), previous_of(p, "photometric").luma.float()

        def difference(flow: Tensor) -> Tensor:
            error = (backward_warp(previous, flow) - luma).abs() / 100
            return masked_mean(robust(error), visible_weight(p, flow))

        return discounted(p, self.gamma, difference)
