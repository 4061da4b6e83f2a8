"""Pretrained weights: those that ship with the package, and how others are found."""

from flowchroma.weights.cache import WeightsAbsent
from flowchroma.weights.light import light_trunk
from flowchroma.weights.perceptual import load_inception, load_lpips
from flowchroma.weights.trunks import matching_trunk
from flowchroma.weights.vgg_weights import SHIPPED_SYSTEM, SHIPPED_VGG, load_vgg, shipped_trunk
