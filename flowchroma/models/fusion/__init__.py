"""Networks that weigh carried against matched colour. All are called as `fusion(luma, propagation, match) -> ab`."""

from flowchroma.models.fusion.placeholder import PlaceholderFusion
from flowchroma.models.fusion.simple import SimpleFusion
from flowchroma.models.fusion.unet import UNetFusion

__all__ = ["PlaceholderFusion", "SimpleFusion", "UNetFusion"]
