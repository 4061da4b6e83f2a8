from dataclasses import replace

import pytest
import torch

from flowchroma.losses import Prediction, Trunk
from flowchroma.models.trunks.vgg import VGGFeatures
from flowchroma.weights import SHIPPED_VGG, load_vgg


def changed(p: Prediction, **fields) -> Prediction:
    """The prediction with other fields; a dictionary gives other fields of `previous`, `estimate` or `exact`."""
    nested = {k: replace(getattr(p, k), **v) for k, v in fields.items() if isinstance(v, dict)}
    return replace(p, **fields | nested)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def trunk() -> Trunk:
    """The shipped trunk to relu2_2."""
    network, _ = load_vgg("vgg16", ("relu1_2", "relu2_2"), weights=SHIPPED_VGG)
    assert isinstance(network, VGGFeatures)
    return Trunk(network)


@pytest.fixture
def smooth():
    """Make smooth random maps: (B, C, H, W) within +-scale around a centre."""

    def make(batch, channels, height, width, centre=0.0, scale=40.0):
        coarse = torch.rand(batch, channels, max(2, height // 6), max(2, width // 6)) * 2 - 1
        fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
        return centre + scale * fine.clamp(-1, 1)

    return make


@pytest.fixture
def frame(smooth):
    """Make a prediction for smooth frames; keywords replace its fields."""

    def make(batch=2, height=24, width=32, **fields):
        luma = smooth(batch, 1, height, width, 55.0, 25.0)
        target = smooth(batch, 2, height, width)
        return Prediction(**({"ab": smooth(batch, 2, height, width), "luma": luma, "target_ab": target} | fields))

    return make
