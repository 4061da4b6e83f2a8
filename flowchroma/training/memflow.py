"""Stage one: optical flow."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from flowchroma import ops
from flowchroma.color import chroma_distance
from flowchroma.errors import UserError
from flowchroma.losses import EstimatedMotion, ExactMotion, Prediction, PreviousFrame, WeightedSum
from flowchroma.metrics import AUSE, EndPointError, epe_map
from flowchroma.models import contracts
from flowchroma.models.memflow import FlowEstimator
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory, Stage
from flowchroma.types import Clip, Flow

OCCLUSION = ("inside", "forward_backward")
_MIN_VISIBLE = 0.5  # share of a frame


class MemFlowStage(Stage):
    """Trains MemFlow on exact flow where a clip has it, and on the appearance that the flow carries.

    Validation carries the first frame's colour through the clip along the chained flow, and adds `val/psnr_hold`, the
    first colour left where it was. Over the clips with exact flow it adds `val/epe`, the mean end-point error in
    pixels, and `val/ause`, how well the flow's confidence ranks that error; over the others `val/ause_color`, how well
    it ranks the colour error of one step from the true colour.

    `loss`, `optimizer` and `scheduler` are those of `Stage`.

    Args:
        model: the network.
        occlusion: which pixels the appearance terms compare in clips without exact flow: "inside", all whose flow stays
            within the frame; "forward_backward", of these the ones where the flow of the reversed clip, a second pass
            without gradient, leads back (Meister et al., UnFlow, AAAI 2018, section 3.2), unless they are less than
            half.

    Raises:
        UserError: another `occlusion`.
    """

    network: FlowEstimator
    trains = contracts.FlowNetwork
    baselines = ("psnr_hold",)

    def __init__(
        self,
        model: FlowEstimator,
        loss: WeightedSum,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
        occlusion: str = "inside",
    ) -> None:
        super().__init__(model, model, loss, optimizer, scheduler)
        if occlusion not in OCCLUSION:
            raise UserError(f"stage.module.occlusion={occlusion} is unknown: use {' or '.join(OCCLUSION)}")
        self.occlusion = occlusion
        self.measured = nn.ModuleDict({"epe": EndPointError(), "ause": AUSE(), "ause_color": AUSE()})

    @property
    def validation_metrics(self) -> list[str]:
        """The metrics that validation may log: those of the flow only where clips allow it."""
        return [*super().validation_metrics, *(f"val/{name}" for name in self.measured)]

    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """Each frame from the second on, its colour carried from the true one before it."""
        flows = self.network(clip.luma)
        # In this order: autocast, until PyTorch's issue 158232 was fixed, hands weights that were cast without gradient
        # on to the pass with gradient.
        visible = self._visible(clip, flows)
        for t, iterates in enumerate(flows, start=1):
            yield Prediction(
                ab=ops.backward_warp(clip.ab[:, t - 1], iterates[-1]),
                luma=clip.luma[:, t],
                target_ab=clip.ab[:, t],
                previous=PreviousFrame(clip.luma[:, t - 1], clip.ab[:, t - 1]),
                estimate=EstimatedMotion(iterates[-1], iterates, visible[t - 1]),
                exact=ExactMotion(clip.flow[:, t - 1], clip.visible[:, t - 1], clip.has_flow),
            )

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """The first frame's colour, carried frame to frame."""
        _, state = self.network.step(clip.luma[:, 0], None)
        ab = clip.ab[:, 0]
        for t in range(1, clip.lab.shape[1]):
            flow, state = self.network.step(clip.luma[:, t], state)
            if flow is not None:  # after a cut nothing is carried
                self._measure(flow, clip, t)
                ab = ops.backward_warp(ab, flow.colour_flow)
            yield {"psnr": ab, "psnr_hold": clip.ab[:, 0]}

    def on_validation_epoch_end(self) -> None:
        """Log the flow's own metrics, each over the clips that have exact flow, or over those that have not."""
        for name in self.measured:
            metric = self._metric(name)
            # One process may have met such clips and another not; all of them have to log, or none.
            if self.trainer.strategy.reduce_boolean_decision(metric.update_called, all=False):
                self.log(f"val/{name}", metric, prog_bar=name == "epe")

    on_test_epoch_end = on_validation_epoch_end

    @torch.no_grad()
    def _visible(self, clip: Clip, flows: Sequence[Sequence[Tensor]]) -> list[Tensor | None]:
        """For each flow where its pixels are in the frame before, (B, 1, H, W), 1 or 0; None where not estimated."""
        if self.occlusion == "inside" or bool(clip.has_flow.all()):
            return [None] * len(flows)
        # The reversed clip's last flow leads from the first frame to the second.
        back = reversed(self.network(clip.luma.flip(1)))
        return [_visible_by(there[-1], here[-1]) for there, here in zip(flows, back, strict=True)]

    def _measure(self, flow: Flow, clip: Clip, t: int) -> None:
        """Compare frame t's flow, and its confidence, with what is known of the frame."""
        exact = clip.has_flow
        if exact.any():
            truth = clip.flow[exact, t - 1]
            self._metric("epe").update(flow.flow[exact], truth)
            self._metric("ause").update(epe_map(flow.flow[exact], truth), flow.confidence[exact])
        if not exact.all():
            carried = ops.backward_warp(clip.ab[~exact, t - 1], flow.colour_flow[~exact])
            error = chroma_distance(carried, clip.ab[~exact, t])
            self._metric("ause_color").update(error, flow.confidence[~exact])

    def _metric(self, name: str) -> Metric:
        return cast(Metric, self.measured[name])


def _visible_by(flow: Tensor, back: Tensor) -> Tensor:
    seen = (~ops.occlusion(flow, back)).float()
    # Flows that disagree nearly everywhere are wrong, and a loss that left these pixels out would keep them so.
    trusted = seen.mean(dim=(1, 2, 3), keepdim=True) >= _MIN_VISIBLE
    return torch.where(trusted, seen, 1.0)
