"""Pure tensor functions, without parameters."""

from flowchroma.ops.attention import Matches, MemoryRead, Neighbourhood, match, match_cells
from flowchroma.ops.consistency import forward_backward_error, light_fitted, motion_boundary, occlusion, visible
from flowchroma.ops.correlation import Correlation, CorrelationOnDemand, CorrelationPyramid, correlate
from flowchroma.ops.cut import is_cut
from flowchroma.ops.dis import dis_flow
from flowchroma.ops.dominant import dominant_motion
from flowchroma.ops.enlarging import conv_of_enlarged
from flowchroma.ops.entropy import certainty
from flowchroma.ops.lucas_kanade import lucas_kanade, polish
from flowchroma.ops.padding import Padding, pad_to_multiple
from flowchroma.ops.upsampling import between_upsample, convex_upsample
from flowchroma.ops.voting import elect, patches, vote
from flowchroma.ops.warp import backward_warp, carry, inside, pixel_grid, resized, sample_at
from flowchroma.ops.window import window_mean

__all__ = [
    "Correlation",
    "CorrelationOnDemand",
    "CorrelationPyramid",
    "Matches",
    "MemoryRead",
    "Neighbourhood",
    "Padding",
    "backward_warp",
    "between_upsample",
    "carry",
    "certainty",
    "conv_of_enlarged",
    "convex_upsample",
    "correlate",
    "dis_flow",
    "dominant_motion",
    "elect",
    "forward_backward_error",
    "inside",
    "is_cut",
    "light_fitted",
    "lucas_kanade",
    "match",
    "match_cells",
    "motion_boundary",
    "occlusion",
    "pad_to_multiple",
    "patches",
    "pixel_grid",
    "polish",
    "resized",
    "sample_at",
    "visible",
    "vote",
    "window_mean",
]
