"""The fusion of both sides of a frame, over a system that is trained."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from torch import Tensor

from flowchroma.data.rollouts.frames import TwoSidedFrames
from flowchroma.losses import WeightedSum
from flowchroma.models import BidirectionalFusion, FlowChroma, contracts
from flowchroma.models.contracts import FlowNetwork, Fusion, Matcher
from flowchroma.models.estimate import Estimate, combine
from flowchroma.training.rollout_stage import RolloutStage
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory


class BidirectionalStage(RolloutStage):
    """Trains the fusion of both sides on what a frozen system found for frames between two keyframes.

    Validation compares it (`val/psnr`) with both directions weighed by their expected errors (`val/psnr_both`) and with
    the way forward alone (`val/psnr_forward`).

    `loss`, `optimizer` and `scheduler` are those of `Stage`, `recent` and `every` those of `FlowChroma`.

    Args:
        model: the fusion of both sides.
        flow: the system's flow network; frozen here.
        matcher: its matching network; frozen here.
        fusion: its fusion network; frozen here.
    """

    trains = BidirectionalFusion
    trains_part = "bidirectional"
    uses: ClassVar[Mapping[str, Any]] = {
        "flow": contracts.FlowNetwork,
        "matcher": contracts.Matcher,
        "fusion": contracts.Fusion,
    }
    baselines = ("psnr_both", "psnr_forward")

    def __init__(
        self,
        model: BidirectionalFusion,
        flow: FlowNetwork,
        matcher: Matcher,
        fusion: Fusion,
        loss: WeightedSum,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        recent: int = 8,
        every: int = 5,
    ) -> None:
        system = FlowChroma(flow, matcher, fusion, recent, every, bidirectional=model)
        super().__init__(system, model, loss, optimizer, scheduler)

    def fuse(self, frames: TwoSidedFrames) -> Estimate:
        """See `RolloutStage.fuse`."""
        return cast(BidirectionalFusion, self.trained)(frames.found)

    def start(self, frames: TwoSidedFrames) -> Tensor:
        """Both directions, weighed by their expected errors."""
        return combine([frames.found.forward, frames.found.backward]).ab

    def colours(self, clip: TwoSidedFrames, fused: Estimate | None = None) -> dict[str, Tensor]:  # type: ignore[override]
        """See `RolloutStage.colours`."""
        fused = fused or self.fuse(clip)
        return {"psnr": fused.ab, "psnr_both": self.start(clip), "psnr_forward": clip.forward_ab}
