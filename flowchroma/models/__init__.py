"""The networks: torch alone, without Lightning, configuration or files."""

from flowchroma.models.flowchroma import FlowChroma
from flowchroma.models.fusion import PlaceholderFusion, SimpleFusion, UNetFusion
from flowchroma.models.memflow import MemFlow
from flowchroma.models.swintexco import SwinTExCoSmall
from flowchroma.models.vgg import VGGFeatures

__all__ = [
    "FlowChroma",
    "MemFlow",
    "PlaceholderFusion",
    "SimpleFusion",
    "SwinTExCoSmall",
    "UNetFusion",
    "VGGFeatures",
]
