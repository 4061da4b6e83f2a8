"""Stage three: the fusion of carried and matched colour."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, cast

from torch import Tensor, nn

from flowchroma import ops
from flowchroma.errors import UserError
from flowchroma.losses import EstimatedMotion, ExactMotion, Prediction, PreviousFrame, WeightedSum
from flowchroma.models import FlowChroma, contracts, roll_out
from flowchroma.models.contracts import FlowNetwork, Fusion, Matcher
from flowchroma.models.state import ColouredFrame, Known
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory, Stage, ValidationPanel, freeze
from flowchroma.types import Clip


class FusionStage(Stage):
    """Trains a fusion network on what a frozen flow and a frozen matching network give, rolled out on its own outputs.

    The colour of a frame is carried into the next, and gradients flow back with it, for `horizon` frames; they do not
    enter the memory of frames coloured before. Where the reference is the clip's first frame, that frame's colour is
    given and not predicted. Clips are taken as single shots: what the flow cannot explain has little confidence, and
    does not reset the memory.

    Validation compares the fusion (`val/psnr`) with propagation alone and matching alone, each rolled out by itself,
    and with the first colour held in place.

    `loss`, `optimizer` and `scheduler` are those of `Stage`, `recent` and `every` those of `FlowChroma`.

    Args:
        model: the fusion network.
        flow: the flow network; frozen here.
        matcher: the matching network; frozen here.
        horizon: frames that gradients flow through; None for the whole clip.
        growth: frames of a clip that are rolled out, by the step from which on; None for all, always.
    """

    network: FlowChroma
    trains = contracts.Fusion
    uses: ClassVar[Mapping[str, Any]] = {"flow": contracts.FlowNetwork, "matcher": contracts.Matcher}
    baselines = ("psnr_hold", "psnr_propagated", "psnr_matched")

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
        horizon: int | None = None,
        growth: Mapping[int, int] | None = None,
    ) -> None:
        for network in (flow, matcher):
            freeze(cast(nn.Module, network))
        # Memory is reset for a whole batch or not at all, so that losses would depend on which clips share a batch.
        cast(Any, flow).cut = None
        super().__init__(FlowChroma(flow, matcher, model, recent, every), model, loss, optimizer, scheduler)
        self.horizon, self.growth = horizon, dict(growth or {})
        if (horizon is not None and horizon < 1) or any(frames < 2 for frames in self.growth.values()):
            raise UserError(
                "stage.module: horizon must be 1 or more, and growth lead to clips of 2 frames or more", code=2
            )

    def train(self, mode: bool = True) -> "FusionStage":
        """Switch the fusion's mode; the frozen networks stay in evaluation mode."""
        super().train(mode)
        self.network.eval()
        self.trained.train(mode)
        return self

    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """The clip rolled out; the first frame counts where its colour was not given."""
        before: Tensor | None = None
        first = self.first_predicted(clip)
        own = clip.own_colours.view(-1, 1, 1, 1)
        for t, frame in enumerate(self._roll_out(clip, self._frames(clip), self.horizon)):
            luma, ab = frame.luma, frame.ab
            flow = None if frame.signals is None else frame.signals.flow
            if t >= first:
                yield Prediction(
                    ab=ab,
                    luma=luma,
                    target_ab=clip.ab[:, t],
                    mask=own.to(luma).expand_as(luma),
                    reference=clip.references,
                    previous=None if t == 0 else PreviousFrame(clip.luma[:, t - 1], clip.ab[:, t - 1], before),
                    estimate=None if flow is None else EstimatedMotion(flow.colour_flow),
                    exact=None if t == 0 else ExactMotion(clip.flow[:, t - 1], clip.visible[:, t - 1], clip.has_flow),
                )
            before = ab

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """The fusion's roll-out, and each input rolled out alone."""
        carried = clip.ab[:, 0]
        for frame in self._roll_out(clip):
            signals = frame.signals
            if signals is None or signals.flow is None:  # the first frame
                continue
            self._last = signals
            carried = ops.backward_warp(carried, signals.flow.colour_flow)
            yield {
                "psnr": frame.ab,
                "psnr_hold": clip.ab[:, 0],
                "psnr_propagated": carried,
                "psnr_matched": signals.match.ab,
            }

    def panel(self, clip: Clip, last: dict[str, Tensor]) -> ValidationPanel:
        """Gray, propagated, matched, fused, truth and both confidences."""
        shown = super().panel(clip, last)
        maps = {
            "flow confidence": self._last.propagation.confidence[0].float().expand(3, -1, -1),
            "similarity": self._last.match.similarity[0].float().expand(3, -1, -1),
        }
        return ValidationPanel({**shown.images, **maps}, shown.caption)

    def _frames(self, clip: Clip) -> int:
        """How many frames of a training clip are rolled out at this step."""
        whole = clip.lab.shape[1]
        begun = [step for step in self.growth if step <= self.global_step]
        return min(self.growth[max(begun)], whole) if begun else whole

    def _roll_out(self, clip: Clip, frames: int | None = None, horizon: int | None = None) -> Iterator[ColouredFrame]:
        first = Known(clip.ab[:, 0], clip.starts_coloured)
        return roll_out(self.network, clip.luma[:, :frames].unbind(1), [clip.references], {0: first}, horizon)
