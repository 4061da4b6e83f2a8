"""Terms of a fusion that tells the error expected of its colour."""

from torch import Tensor, nn

from flowchroma.color import chroma_distance
from flowchroma.losses.prediction import Prediction, UnfitLossError

_LEAST = 0.1  # CIELAB units: an expected error below it is taken as this


class ColorDistance(nn.Module):
    """Mean of |ab - true ab|, the distance in CIELAB units."""

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        return chroma_distance(prediction.ab.float(), prediction.target_ab.float()).mean()


class RelativeError(nn.Module):
    """Mean over the frames of sqrt(m / (m0 + 1)), m0 being the mean squared error of what the output started from.

    PSNR is a logarithm: by this a frame that is nearly right counts as much as one that is far off. CIELAB units.
    """

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar; an `UnfitLossError` where the stage starts from nothing."""
        if prediction.start_ab is None:
            raise UnfitLossError("this loss compares with what was there before the network")
        target = prediction.target_ab
        own, start = (_squared(ab, target).mean(dim=(1, 2, 3)) for ab in (prediction.ab, prediction.start_ab))
        return (own / (start.detach() + 1)).sqrt().mean()


class ExpectedError(nn.Module):
    """Mean of ln e + |ab - true ab| / e: least where the expected error e is the mean of the true one.

    It is the likelihood of an error that is spread exponentially. No gradient reaches the colour. CIELAB units.
    """

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar; an `UnfitLossError` where the stage tells no expected error."""
        if prediction.expected is None:
            raise UnfitLossError("this loss reads the error that the network expects")
        expected = prediction.expected.float().clamp(min=_LEAST)
        return (
            expected.log() + chroma_distance(prediction.ab.float(), prediction.target_ab.float()).detach() / expected
        ).mean()


def _squared(ab: Tensor, target: Tensor) -> Tensor:
    """(B, 1, H, W), squares of CIELAB units."""
    return (ab.float() - target.float()).square().sum(dim=1, keepdim=True)
