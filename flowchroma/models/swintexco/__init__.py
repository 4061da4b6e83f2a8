"""Colour found by matching against references."""

from flowchroma.models.swintexco.discriminator import Discriminator
from flowchroma.models.swintexco.embed import Embed
from flowchroma.models.swintexco.network import SwinTExCo
from flowchroma.models.swintexco.small import SwinTExCoSmall

Matcher = SwinTExCo | SwinTExCoSmall

__all__ = ["Discriminator", "Embed", "Matcher", "SwinTExCo", "SwinTExCoSmall"]
