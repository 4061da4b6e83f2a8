"""The networks: torch alone, without Lightning, configuration or files."""

from flowchroma.models.flowchroma import FlowChroma
from flowchroma.models.fusion import BlendFusion, PlaceholderFusion, SimpleFusion, UNetFusion
from flowchroma.models.memflow import MemFlow, MemFlowSmall
from flowchroma.models.swintexco import SwinTExCo, SwinTExCoSmall
from flowchroma.models.vgg import VGGFeatures

__all__ = [
    "BlendFusion",
    "FlowChroma",
    "MemFlow",
    "MemFlowSmall",
    "PlaceholderFusion",
    "SimpleFusion",
    "SwinTExCo",
    "SwinTExCoSmall",
    "UNetFusion",
    "VGGFeatures",
]
