"""The fusion of both sides of a frame, over a system that is trained."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from flowchroma.color import lab_to_rgb
from flowchroma.data.rollouts.frames import TwoSidedFrames
from flowchroma.data.rollouts.module import RolloutDataModule
from flowchroma.errors import UserError
from flowchroma.losses import Prediction, WeightedSum
from flowchroma.metrics import RatioOfMeans
from flowchroma.models import BidirectionalFusion, FlowChroma, contracts
from flowchroma.models.contracts import FlowNetwork, Fusion, Matcher
from flowchroma.models.estimate import Estimate, combine
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory, Stage, ValidationPanel, freeze
from flowchroma.weights.files import fingerprint

_SHOWN = 20.0  # CIELAB units of an error that are white in a panel


class BidirectionalStage(Stage):
    """Trains the fusion of both sides on what a frozen system found for frames between two keyframes.

    It reads files of `flowchroma.rollouts`, made by the very system that it is trained for; the system itself is not
    run. What is saved is that system with the fusion in it.

    Validation compares it (`val/psnr`) with both directions weighed by their expected errors (`val/psnr_both`) and with
    the way forward alone (`val/psnr_forward`), and tells the mean of the expected errors divided by that of the true
    ones (`val/expected_over_true`).

    `loss`, `optimizer` and `scheduler` are those of `Stage`, `recent` and `every` those of `FlowChroma`.

    Args:
        model: the fusion of both sides.
        flow: the system's flow network; frozen here.
        matcher: its matching network; frozen here.
        fusion: its fusion network; frozen here.
    """

    network: FlowChroma
    trains = BidirectionalFusion
    uses: ClassVar[Mapping[str, Any]] = {
        "flow": contracts.FlowNetwork,
        "matcher": contracts.Matcher,
        "fusion": contracts.Fusion,
    }
    extends_system = True
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
        for network in (flow, matcher, fusion):
            freeze(cast(nn.Module, network))
        system = FlowChroma(flow, matcher, fusion, recent, every, bidirectional=model)
        super().__init__(system, model, loss, optimizer, scheduler)
        self.measured = nn.ModuleDict({"expected_over_true": RatioOfMeans()})

    @property
    def model(self) -> BidirectionalFusion:
        """The fusion of both sides."""
        return cast(BidirectionalFusion, self.trained)

    @property
    def validation_metrics(self) -> list[str]:
        """The metrics that validation may log."""
        return [*super().validation_metrics, *(f"val/{name}" for name in self.measured)]

    def setup(self, stage: str) -> None:
        """Refuse rollouts of another system."""
        data: RolloutDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        if data.made_by != fingerprint(self.network):
            raise UserError(
                f"the rollouts in {data.root} were made by other networks: give the run that made them as"
                " weights.system, or make them anew by flowchroma.rollouts"
            )

    def train(self, mode: bool = True) -> "BidirectionalStage":
        """Switch the fusion's mode; the frozen networks stay in evaluation mode."""
        super().train(mode)
        self.network.eval()
        self.trained.train(mode)
        return self

    def predictions(self, clip: TwoSidedFrames) -> Iterator[Prediction]:  # type: ignore[override]
        """The batch's frames, which are one each of a clip."""
        found = clip.found
        fused = self.model(found)
        yield Prediction(
            ab=fused.ab,
            luma=clip.luma,
            target_ab=clip.true_ab,
            expected=fused.error,
            start_ab=combine([found.forward, found.backward]).ab,
        )

    def colours(self, clip: TwoSidedFrames) -> Iterator[dict[str, Tensor]]:  # type: ignore[override]
        """What validation scores of the frames."""
        yield self._colours(clip, self.model(clip.found))

    def validation_step(self, clip: TwoSidedFrames, batch_idx: int) -> None:  # type: ignore[override]
        """Score a batch of frames against the truth."""
        fused = self.model(clip.found)
        made = self.score(self._colours(clip, fused), clip.lab)
        true = torch.linalg.vector_norm(fused.ab - clip.true_ab, dim=1, keepdim=True)
        ratio = cast(Metric, self.measured["expected_over_true"])
        ratio.update(fused.error, true)
        figures = {f"val/{name}": metric for name, metric in self.psnr.items()}
        self.log_dict({**figures, "val/expected_over_true": ratio}, batch_size=len(clip.luma))
        if batch_idx == 0:
            self.shown = [self._panel(clip, made, fused.error, true)]

    test_step = validation_step  # type: ignore[assignment]

    def _colours(self, clip: TwoSidedFrames, fused: Estimate) -> dict[str, Tensor]:
        both = combine([clip.found.forward, clip.found.backward])
        return {"psnr": fused.ab, "psnr_both": both.ab, "psnr_forward": clip.forward_ab}

    def _panel(
        self, clip: TwoSidedFrames, made: Mapping[str, Tensor], expected: Tensor, true: Tensor
    ) -> ValidationPanel:
        """The first frame: forward, both weighed, fused, truth, and the expected error beside the true one."""
        names = {"forward": "psnr_forward", "both": "psnr_both", "BidirectionalFusion": "psnr"}
        errors = {"expected error": expected, "true error": true}
        maps = {name: (error[0] / _SHOWN).expand(3, -1, -1) for name, error in errors.items()}
        pictures = {name: made[figure][0] for name, figure in names.items()}
        return ValidationPanel({**pictures, "truth": lab_to_rgb(clip.lab)[0], **maps}, str(clip.names[0]))
