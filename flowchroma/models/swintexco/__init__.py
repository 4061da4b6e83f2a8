"""Colour found by matching against references."""

from flowchroma.models.swintexco.compact import SwinTExCoSmall
from flowchroma.models.swintexco.discriminator import Discriminator
from flowchroma.models.swintexco.feature_pyramid import FeaturePyramid
from flowchroma.models.swintexco.published import SwinTExCo

__all__ = ["Discriminator", "FeaturePyramid", "SwinTExCo", "SwinTExCoSmall"]
