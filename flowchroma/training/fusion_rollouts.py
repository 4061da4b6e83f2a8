"""Stage three on kept rollouts: the fusion, a frame at a time."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from torch import Tensor

from flowchroma.data.rollouts.frames import SignalFrames
from flowchroma.losses import WeightedSum
from flowchroma.models import FlowChroma, contracts
from flowchroma.models.contracts import FlowNetwork, Fusion, Matcher
from flowchroma.models.estimate import Estimate
from flowchroma.models.fusion.inverse_variance import candidate_colours, carried_on
from flowchroma.training.rollout_stage import RolloutStage
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory


class FusionRolloutStage(RolloutStage):
    """Trains a fusion on the signals that a frozen flow and a frozen matcher gave for whole films.

    No gradient flows through time. A fusion that carries the rule's colour on (`Fused.onward`) meets in use the states
    that it was trained on. One that carries its own must be trained in turns: on rollouts of the rule, then of itself
    too, and so on (Ross et al., "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online
    Learning", AISTATS 2011).

    Validation compares it (`val/psnr`) with the untrained rule (`val/psnr_rule`), and with carried (`val/psnr_carried`)
    and matched colour (`val/psnr_matched`) alone, of the same frame.

    `loss`, `optimizer` and `scheduler` are those of `Stage`, `recent` and `every` those of `FlowChroma`.

    Args:
        model: the fusion network.
        flow: the system's flow network; frozen here.
        matcher: its matching network; frozen here.
    """

    trains = contracts.Fusion
    trains_part = "fusion"
    uses: ClassVar[Mapping[str, Any]] = {"flow": contracts.FlowNetwork, "matcher": contracts.Matcher}
    baselines = ("psnr_rule", "psnr_carried", "psnr_matched")

    def __init__(
        self,
        model: Fusion,
        flow: FlowNetwork,
        matcher: Matcher,
        loss: WeightedSum,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        recent: int = 8,
        every: int = 5,
    ) -> None:
        super().__init__(FlowChroma(flow, matcher, model, recent, every), model, loss, optimizer, scheduler)

    def fuse(self, frames: SignalFrames) -> Estimate:
        """See `RolloutStage.fuse`."""
        fusion = cast(Fusion, self.trained)
        fused = fusion.fuse(frames.signals)
        return Estimate(fused.ab, fusion.error_model.error_of(fused.confidence)).told()

    def start(self, frames: SignalFrames) -> Tensor:
        """The colours that were found, weighed by their expected errors."""
        return carried_on(frames.signals, cast(Fusion, self.trained).error_model).ab

    def colours(self, clip: SignalFrames, fused: Estimate | None = None) -> dict[str, Tensor]:  # type: ignore[override]
        """See `RolloutStage.colours`."""
        fused = fused or self.fuse(clip)
        carried, match, _ = candidate_colours(clip.signals)
        return {"psnr": fused.ab, "psnr_rule": self.start(clip), "psnr_carried": carried, "psnr_matched": match.ab}
