"""Pretrained weights: those that ship with the package, and how others are found."""

from flowchroma.weights.download import DownloadError, download_file
from flowchroma.weights.shipped import SHIPPED_SYSTEM, shipped_trunk
from flowchroma.weights.vgg import SHIPPED_VGG, load_vgg

__all__ = ["SHIPPED_SYSTEM", "SHIPPED_VGG", "DownloadError", "download_file", "load_vgg", "shipped_trunk"]
