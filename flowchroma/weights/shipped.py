"""What comes with the package."""

from collections.abc import Sequence
from pathlib import Path

from flowchroma.models.vgg import VGGFeatures
from flowchroma.weights.vgg_weights import SHIPPED_VGG, load_vgg

SHIPPED_SYSTEM = Path(__file__).parent / "small" / "weights.safetensors"


def shipped_trunk(layers: Sequence[str] = ("relu2_2", "relu3_3", "relu4_3")) -> VGGFeatures:
    """The VGG16 trunk that ships with the package; it reaches relu4_3.

    Args:
        layers: see `VGGFeatures`.
    """
    return load_vgg("vgg16", list(layers), SHIPPED_VGG)[0]
