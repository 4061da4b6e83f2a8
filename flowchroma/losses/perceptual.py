"""Distance in the features of a recognition network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from flowchroma.losses.batch import Prediction
from flowchroma.losses.trunk import SharedTrunk


class Perceptual(nn.Module):
    """Weighted mean over layers of mean|f(output) - f(truth)| / mean|f(truth)|, of each image.

    Johnson, Alahi and Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016, section
    3.2, with the absolute distance in place of the squared one (output and truth share their luminance, so differences
    are small and their squares vanish), relative to the truth's features, so that layers are of one magnitude. Output
    and truth go from CIELAB to true sRGB first.

    Args:
        trunk: gives the features.
        layers: weight of each layer; they are normalised to sum 1.
    """

    def __init__(self, trunk: SharedTrunk, layers: Mapping[str, float]) -> None:
        super().__init__()
        self.trunk = trunk
        self.layers = {name: weight / sum(layers.values()) for name, weight in layers.items()}

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        output, truth = prediction.features(self.trunk), self.trunk.constant(prediction.target_lab)
        parts = [weight * _relative_distance(output[name], truth[name]) for name, weight in self.layers.items()]
        return torch.stack(parts).sum()


class SquaredPerceptual(nn.Module):
    """Weighted sum over layers of the mean squared difference between features of the output and of the truth.

    Johnson et al. 2016, equation 2, as SwinTExCo has it on the deepest level of its trunk: that far down features say
    what is shown rather than in which colour.

    Args:
        trunk: gives the features.
        layers: weight of each layer.
    """

    def __init__(self, trunk: SharedTrunk, layers: Mapping[str, float]) -> None:
        super().__init__()
        self.trunk, self.layers = trunk, dict(layers)

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        output, truth = prediction.features(self.trunk), self.trunk.constant(prediction.target_lab)
        parts = [weight * (output[name] - truth[name]).square().mean() for name, weight in self.layers.items()]
        return torch.stack(parts).sum()


def _relative_distance(output: Tensor, truth: Tensor) -> Tensor:
    size = truth.abs().mean(dim=(1, 2, 3)).clamp(min=1e-6)
    return ((output - truth).abs().mean(dim=(1, 2, 3)) / size).mean()
