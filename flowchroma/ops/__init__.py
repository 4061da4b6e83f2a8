"""Pure tensor functions, without parameters."""

from flowchroma.ops.attention import MemoryRead, match
from flowchroma.ops.consistency import forward_backward_error, motion_boundary, occlusion, visible
from flowchroma.ops.correlation import Correlation, CorrelationOnDemand, CorrelationPyramid, correlate
from flowchroma.ops.dis import dis_flow
from flowchroma.ops.entropy import certainty
from flowchroma.ops.lucas_kanade import lucas_kanade
from flowchroma.ops.padding import Padding, pad_to_multiple
from flowchroma.ops.upsampling import convex_upsample
from flowchroma.ops.warp import backward_warp, inside, pixel_grid, sample_at

__all__ = [
    "Correlation",
    "CorrelationOnDemand",
    "CorrelationPyramid",
    "MemoryRead",
    "Padding",
    "backward_warp",
    "certainty",
    "convex_upsample",
    "correlate",
    "dis_flow",
    "forward_backward_error",
    "inside",
    "lucas_kanade",
    "match",
    "motion_boundary",
    "occlusion",
    "pad_to_multiple",
    "pixel_grid",
    "sample_at",
    "visible",
]
