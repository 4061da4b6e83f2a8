"""Distance of the colour itself."""

from torch import Tensor, nn

from flowchroma.color import scale_ab
from flowchroma.losses.batch import Prediction
from flowchroma.losses.masking import masked_mean


class L1(nn.Module):
    """Mean of |ab - true ab| / 110 over the pixels of `mask` (all by default), the batch and both channels.

    The division makes an error that spans half the range of ab a loss of about 1.
    """

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        error = scale_ab(prediction.ab.float() - prediction.target_ab.float()).abs()
        return error.mean() if prediction.mask is None else masked_mean(error, prediction.mask)
