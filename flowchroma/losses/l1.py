"""Distance of the colour."""

from torch import Tensor, nn

from flowchroma.losses.masking import masked_mean
from flowchroma.losses.prediction import Prediction


class L1(nn.Module):
    """Mean of |ab - true ab| / unit over pixels, weighted by `mask` where there is one, the batch and both channels.

    Args:
        unit: the error, in CIELAB units, that is a loss of 1. 110 spans half the range of ab; the published weights of
            SwinTExCo are for 1.
    """

    def __init__(self, unit: float = 110.0) -> None:
        super().__init__()
        self.unit = unit

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        error = (prediction.ab.float() - prediction.target_ab.float()).abs() / self.unit
        return error.mean() if prediction.mask is None else masked_mean(error, prediction.mask)
