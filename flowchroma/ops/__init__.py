"""Pure tensor functions, without parameters."""

from flowchroma.ops.attention import match
from flowchroma.ops.correlation import CorrelationPyramid
from flowchroma.ops.entropy import certainty
from flowchroma.ops.lucas_kanade import lucas_kanade
from flowchroma.ops.padding import Padding, pad_to_multiple
from flowchroma.ops.upsampling import convex_upsample
from flowchroma.ops.warp import backward_warp, inside, pixel_grid, sample_at

__all__ = [
    "CorrelationPyramid",
    "Padding",
    "backward_warp",
    "certainty",
    "convex_upsample",
    "inside",
    "lucas_kanade",
    "match",
    "pad_to_multiple",
    "pixel_grid",
    "sample_at",
]
