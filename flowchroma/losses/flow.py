"""Training flow: towards the exact one where there is one, and by the colour and the luminance that it carries."""

from collections.abc import Callable

import torch
from torch import Tensor

from flowchroma.color import scale_ab
from flowchroma.losses.flow_shared import FlowTerm, previous_of, robust, visible_weight
from flowchroma.losses.masking import masked_mean
from flowchroma.losses.prediction import Prediction
from flowchroma.ops.warp import backward_warp


class FlowEndPoint(FlowTerm):
    """Mean of |flow - exact flow| in pixels, over both components and the items that have it; 0 where none has.

    Teed and Deng, RAFT, ECCV 2020, equation 7: occluded pixels count too.
    """

    def penalty(self, p: Prediction) -> Callable[[Tensor], Tensor]:
        """See `FlowTerm`."""
        if p.exact is None:
            return lambda flow: flow.new_zeros(())
        truth = p.exact.flow.float()
        weight = p.has_exact.expand(-1, 1, *truth.shape[-2:])
        return lambda flow: masked_mean((flow - truth).abs(), weight)


class FlowColor(FlowTerm):
    """How far the true ab of frame t - 1, carried along the flow, is from the true ab of frame t.

    Items with exact motion: |difference| / 110 over visible pixels. In the others a difference may be occlusion or an
    error of the flow, and a photometric weight would be 0 at just those pixels whose flow is wrong; their penalty is
    robust instead, (x + 0.01)^0.4 - 0.01^0.4 of x = |difference| / 110 (Liu et al., DDFlow, AAAI 2019, section 3), over
    the pixels whose flow stays within the frame, weighted by the estimated visibility where there is one.
    """

    def penalty(self, p: Prediction) -> Callable[[Tensor], Tensor]:
        """See `FlowTerm`."""
        source, target, exact = previous_of(p, "colour").target_ab.float(), p.target_ab.float(), p.has_exact

        def carried(flow: Tensor) -> Tensor:
            error = scale_ab(backward_warp(source, flow) - target).abs()
            return masked_mean(torch.where(exact, error, robust(error)), visible_weight(p, flow))

        return carried


class FlowPhotometric(FlowTerm):
    """How far the luminance of frame t - 1, carried along the flow, is from that of frame t.

    Mean of (x + 0.01)^0.4 - 0.01^0.4 of x = |difference| / 100 (Liu et al., DDFlow, AAAI 2019, section 3). A
    change of light raises it, as a wrong flow does; that of `FlowCensus` hardly. The same pixels count as there.
    """

    def penalty(self, p: Prediction) -> Callable[[Tensor], Tensor]:
        """See `FlowTerm`."""
        luma, previous = p.luma.float(), previous_of(p, "photometric").luma.float()

        def difference(flow: Tensor) -> Tensor:
            error = (backward_warp(previous, flow) - luma).abs() / 100
            return masked_mean(robust(error), visible_weight(p, flow))

        return difference
