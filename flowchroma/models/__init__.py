"""The networks: torch alone, without Lightning, configuration or files."""

from flowchroma.models.alone import ChainedDis, Gray, Hold, MatchingAlone, PropagationAlone
from flowchroma.models.flowchroma import FlowChroma
from flowchroma.models.fusion import BlendFusion, PlaceholderFusion, SimpleFusion, UNetFusion
from flowchroma.models.memflow import MemFlow
from flowchroma.models.painter import Colorizer, Oracle, Painter
from flowchroma.models.swintexco import SwinTExCo, SwinTExCoSmall
from flowchroma.models.vgg import VGGFeatures

__all__ = [
    "BlendFusion",
    "ChainedDis",
    "Colorizer",
    "FlowChroma",
    "Gray",
    "Hold",
    "MatchingAlone",
    "MemFlow",
    "Oracle",
    "Painter",
    "PlaceholderFusion",
    "PropagationAlone",
    "SimpleFusion",
    "SwinTExCo",
    "SwinTExCoSmall",
    "UNetFusion",
    "VGGFeatures",
]
