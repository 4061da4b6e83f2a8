"""The networks: torch alone, without Lightning, configuration or files."""

from flowchroma.models.error_model import ErrorModel
from flowchroma.models.flowchroma import FlowChroma
from flowchroma.models.fusion.bidirectional import BidirectionalFusion
from flowchroma.models.fusion.blend import BlendFusion
from flowchroma.models.fusion.inverse_variance import InverseVarianceFusion, PlaceholderFusion
from flowchroma.models.fusion.origin import OriginFusion
from flowchroma.models.fusion.simple import SimpleFusion
from flowchroma.models.fusion.unet import UNetFusion
from flowchroma.models.memflow import MemFlow, MemFlowSmall
from flowchroma.models.roll_out import roll_out
from flowchroma.models.swintexco import SwinTExCo, SwinTExCoSmall
from flowchroma.models.trunks.vgg import VGGFeatures

__all__ = [
    "BidirectionalFusion",
    "BlendFusion",
    "ErrorModel",
    "FlowChroma",
    "InverseVarianceFusion",
    "MemFlow",
    "MemFlowSmall",
    "OriginFusion",
    "PlaceholderFusion",
    "SimpleFusion",
    "SwinTExCo",
    "SwinTExCoSmall",
    "UNetFusion",
    "VGGFeatures",
    "roll_out",
]
