"""Pure tensor functions, without parameters."""

from flowchroma.ops.attention import Matches, MemoryRead, Neighbourhood, cell_keys, match, match_coarse_to_fine
from flowchroma.ops.consistency import forward_backward_error, match_exposure, motion_boundary, occlusion, visible
from flowchroma.ops.correlation import Correlation, CorrelationOnDemand, CorrelationPyramid, correlate
from flowchroma.ops.cut import is_cut
from flowchroma.ops.dis import dis_flow
from flowchroma.ops.dominant import dominant_motion
from flowchroma.ops.entropy import certainty
from flowchroma.ops.lucas_kanade import lucas_kanade, refine_flow
from flowchroma.ops.norm import unit_length
from flowchroma.ops.padding import Padding, pad_to_multiple
from flowchroma.ops.upsampled_conv import upsampled_conv
from flowchroma.ops.upsampling import convex_upsample, convex_upsample_2x, interleave, unshuffle
from flowchroma.ops.voting import extract_patches, merge_votes, patch_votes
from flowchroma.ops.warp import backward_warp, pixel_grid, points_inside, rescale_flow, sample_at, sharp_backward_warp
from flowchroma.ops.window import window_mean
from flowchroma.ops.winograd import conv3x3, winograd_conv
