"""Stage three on kept rollouts: the fusion, a frame at a time."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from torch import Tensor

from flowchroma.data.rollouts.frames import SignalFrames
from flowchroma.errors import UserError
from flowchroma.losses import WeightedSum
from flowchroma.models import FlowChroma, contracts
from flowchroma.models.contracts import FlowNetwork, Fusion, Matcher
from flowchroma.models.estimate import Estimate
from flowchroma.models.fusion.inverse_variance import candidate_colours, propagated_rule
from flowchroma.training.rollout_stage import RolloutStage
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory


class FusionRolloutStage(RolloutStage):
    """Trains a fusion on the signals that a frozen flow and a frozen matcher gave for whole films.

    No gradient flows through time: a fusion that leaves the rule's colour to the next frame (`Fused.propagated`) meets
    in use the states that it was trained on. One that leaves its own does not ("A Reduction of Imitation Learning and
    Structured Prediction to No-Regret Online Learning", Ross et al., AISTATS 2011), and is refused.

    Validation compares it (`val/psnr`) with the untrained rule (`val/psnr_rule`), and with carried (`val/psnr_carried`)
    and matched colour (`val/psnr_matched`) alone, of the same frame.

    `loss`, `optimizer` and `scheduler` are those of `Stage`, `recent` and `every` those of `FlowChroma`.

    Args:
        model: the fusion network; a `UserError` unless it `propagates_rule`.
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
        if not model.propagates_rule:
            raise UserError(
                f"{type(model).__name__} leaves its own colour to the next frame, and would meet other states than were"
                " kept: give model=origin or model=simple, or train it on clips by stage=fusion"
            )
        super().__init__(FlowChroma(flow, matcher, model, recent, every), model, loss, optimizer, scheduler)

    def fuse(self, frames: SignalFrames) -> Estimate:
        """See `RolloutStage.fuse`."""
        fusion = cast(Fusion, self.trained)
        fused = fusion.fuse(frames.signals)
        return Estimate(fused.ab, fusion.error_model.error_of(fused.confidence)).calibrated()

    def start(self, frames: SignalFrames) -> Tensor:
        """The colours that were found, weighed by their expected errors."""
        return propagated_rule(frames.signals, cast(Fusion, self.trained).error_model).ab

    def colours(self, clip: SignalFrames, fused: Estimate | None = None) -> dict[str, Tensor]:  # type: ignore[override]
        """See `RolloutStage.colours`."""
        fused = fused or self.fuse(clip)
        carried, match, _ = candidate_colours(clip.signals)
        return {"psnr": fused.ab, "psnr_rule": self.start(clip), "psnr_carried": carried, "psnr_matched": match.ab}
