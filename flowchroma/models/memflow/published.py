"""MemFlow: optical flow with a memory of past motion (Dong and Fu, CVPR 2024)."""

from collections.abc import Sequence

from torch import Tensor

from flowchroma import ops
from flowchroma.models.memflow.architecture import STRIDE, Architecture
from flowchroma.models.memflow.confidence import Confidence
from flowchroma.models.memflow.estimator import Cut, FirstFlow, FlowEstimator
from flowchroma.models.memflow.iterates import FineFlow, Iterate
from flowchroma.models.memflow.update import FlowUpdate
from flowchroma.ops import light

PUBLISHED = Architecture()


class MemFlow(FlowEstimator):
    """MemFlow as published: every iteration corrects the flow, which starts from zero and is enlarged at once.

    Args:
        architecture: of the networks; as published by default.
        mask_width: hidden channels of the upsampling weights.
        iterations: corrections of each flow.
        memory_frames: past frames whose motion is remembered.
        memory_pool: see `FlowEstimator`.
        average_tokens: see `FlowEstimator`; 6624 is that of the Sintel release.
        volume_limit: see `FlowEstimator`, in MiB.
        start: see `FlowEstimator`; None starts from zero, as published.
        confidence: see `FlowEstimator`.
        cut: see `FlowEstimator`.
    """

    update_block: FlowUpdate

    def __init__(
        self,
        architecture: Architecture = PUBLISHED,
        *,
        mask_width: int = 256,
        iterations: int = 15,
        memory_frames: int = 1,
        memory_pool: int = 1,
        average_tokens: int = 6624,
        volume_limit: float = 512,
        start: FirstFlow | None = None,
        confidence: Confidence | None = None,
        cut: Cut | None = None,
    ) -> None:
        super().__init__(
            architecture,
            iterations=iterations,
            memory_frames=memory_frames,
            memory_pool=memory_pool,
            average_tokens=average_tokens,
            volume_limit=volume_limit,
            start=start,
            confidence=confidence,
            cut=cut,
        )
        self._add_encoders(architecture)
        self.update_block = FlowUpdate(architecture, mask_width)

    def _corrected(self, flow: Tensor, hidden: Tensor) -> Tensor:
        return flow + self.update_block.flow_head(hidden).to(flow.dtype)

    def _enlarged(self, iterate: Iterate, luma: light.Luma, previous: light.Luma) -> FineFlow:
        weights = self.update_block.upsampling_weights(iterate.hidden)
        return FineFlow(ops.convex_upsample(iterate.flow, weights, STRIDE), None, weights, [])

    def _in_pixels(self, iterates: Sequence[Iterate], luma: light.Luma, previous: light.Luma) -> list[Tensor]:
        return [self._enlarged(iterate, luma, previous).flow for iterate in iterates]
