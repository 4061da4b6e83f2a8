"""Distance in the features of a recognition network."""

import torch
from torch import Tensor

from flowchroma.losses.prediction import Prediction
from flowchroma.losses.trunk import FeatureTerm, LayerWeights, Trunk


class Perceptual(FeatureTerm):
    """Weighted mean over layers of mean|f(output) - f(truth)| / mean|f(truth)|, of each image.

    Johnson, Alahi and Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016, section
    3.2, with the absolute distance in place of the squared one (output and truth share their luminance, so differences
    are small and their squares vanish), relative to the truth's features, so that layers are of one magnitude. Output
    and truth go from CIELAB to true sRGB first.

    Args:
        trunk: gives the features.
        layers: weight of each layer; they are normalised to sum 1.
    """

    def __init__(self, trunk: Trunk, layers: LayerWeights) -> None:
        super().__init__(trunk, layers)
        total = sum(self.layers.values())
        self.layers = {name: weight / total for name, weight in self.layers.items()}

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        output, truth = prediction.features(self.trunk), self.trunk.constant(prediction.target_lab)
        parts = [weight * _relative_distance(output[name], truth[name]) for name, weight in self.layers.items()]
        return torch.stack(parts).sum()


class SquaredPerceptual(FeatureTerm):
    """Weighted sum over layers of the mean squared difference between features of the output and of the truth.

    Johnson et al. 2016, equation 2. SwinTExCo takes the deepest level of its trunk alone, whose features depend on what
    is shown rather than on its colour.

    Args:
        trunk: gives the features.
        layers: weight of each layer.
    """

    def forward(self, prediction: Prediction) -> Tensor:
        """Return the loss, a scalar."""
        output, truth = prediction.features(self.trunk), self.trunk.constant(prediction.target_lab)
        parts = [weight * (output[name] - truth[name]).square().mean() for name, weight in self.layers.items()]
        return torch.stack(parts).sum()


def _relative_distance(output: Tensor, truth: Tensor) -> Tensor:
    size = truth.abs().mean(dim=(1, 2, 3)).clamp(min=1e-6)
    return ((output - truth).abs().mean(dim=(1, 2, 3)) / size).mean()
