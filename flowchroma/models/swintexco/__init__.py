"""Colour found by matching against references."""

from flowchroma.models.swintexco.small import SwinTExCoSmall

__all__ = ["SwinTExCoSmall"]
