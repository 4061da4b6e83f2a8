"""Networks that weigh the colours found for a frame. All are called as `fusion(signals) -> ab`."""

from flowchroma.models.fusion.blend import BlendFusion
from flowchroma.models.fusion.inverse_variance import InverseVarianceFusion
from flowchroma.models.fusion.placeholder import PlaceholderFusion
from flowchroma.models.fusion.simple import SimpleFusion
from flowchroma.models.fusion.unet import UNetFusion

__all__ = ["BlendFusion", "InverseVarianceFusion", "PlaceholderFusion", "SimpleFusion", "UNetFusion"]
