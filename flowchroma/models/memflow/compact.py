"""The compact sibling of MemFlow (Dong and Fu, CVPR 2024), which ships."""

from collections.abc import Sequence

from torch import Tensor

from flowchroma import ops
from flowchroma.models.memflow.architecture import Architecture
from flowchroma.models.memflow.confidence import Confidence
from flowchroma.models.memflow.estimator import Cut, FirstFlow, FlowEstimator
from flowchroma.models.memflow.iterates import FineFlow, Iterate
from flowchroma.models.memflow.refiner import Refiner
from flowchroma.models.memflow.update import HiddenUpdate
from flowchroma.ops import light


class MemFlowSmall(FlowEstimator):
    """MemFlow at a small size, whose flow starts from an estimate without learning and is corrected on finer grids.

    The coarse grid updates the hidden state and leaves the flow as it is: corrections that it learned on small frames
    led larger ones astray.

    Args:
        architecture: of the networks.
        refiner: takes first flow and hidden state on to finer grids and to pixels; it has the same `hidden`.
        start: see `FlowEstimator`.
        iterations: updates of the hidden state.
        memory_frames: past frames whose motion is remembered.
        memory_pool: see `FlowEstimator`.
        average_tokens: see `FlowEstimator`.
        volume_limit: see `FlowEstimator`, in MiB.
        confidence: see `FlowEstimator`.
        cut: see `FlowEstimator`.
    """

    update_block: HiddenUpdate

    def __init__(
        self,
        architecture: Architecture,
        refiner: Refiner,
        start: FirstFlow | None,
        *,
        iterations: int = 1,
        memory_frames: int = 1,
        memory_pool: int = 4,
        average_tokens: int = 256,
        volume_limit: float = 512,
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
        # The optimizer states in checkpoints go by this order of the parameters.
        self.refiner = refiner
        self._add_encoders(architecture)
        self.update_block = HiddenUpdate(architecture)

    def _corrected(self, flow: Tensor, hidden: Tensor) -> Tensor:
        return flow

    def _enlarged(self, iterate: Iterate, luma: light.Luma, previous: light.Luma) -> FineFlow:
        return self.refiner(iterate.flow, iterate.hidden, luma, previous)

    def _in_pixels(self, iterates: Sequence[Iterate], luma: light.Luma, previous: light.Luma) -> list[Tensor]:
        fine = self._enlarged(iterates[-1], luma, previous)
        return [*(ops.resized(flow, fine.flow.shape[-2:]) for flow in fine.steps), fine.flow]
