"""What the stages share that are trained on kept rollouts."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, cast

from torch import Tensor, nn
from torchmetrics import Metric

from flowchroma.color import chroma_distance, lab_to_rgb
from flowchroma.data.rollouts.frames import KeptFrames
from flowchroma.data.rollouts.module import RolloutDataModule
from flowchroma.errors import UserError
from flowchroma.losses import Prediction, WeightedSum
from flowchroma.metrics import RatioOfMeans
from flowchroma.models import FlowChroma
from flowchroma.models.estimate import Estimate
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory, Stage, ValidationPanel, freeze
from flowchroma.weights.files import Fingerprint

_SHOWN = 20.0  # CIELAB units of an error that are white in a panel


class RolloutStage(Stage):
    """Trains a part of a system on what the frozen rest found for frames of films; see `flowchroma.rollouts`.

    The system itself is not run: a step costs what the trained network costs. What is saved is the system with the
    trained part in it. Beside the PSNR of all that `colours` gives, validation tells the mean of the expected errors
    divided by that of the true ones (`val/expected_over_true`).

    Args:
        network: the system.
        trained: the part of it that learns; the others are frozen here.
        loss: see `Stage`.
        optimizer: likewise.
        scheduler: likewise.
    """

    network: FlowChroma
    extends_system = True
    trains_part: ClassVar[str]  # see `KeptFrames.trains`

    def __init__(
        self,
        network: FlowChroma,
        trained: nn.Module,
        loss: WeightedSum,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None,
    ) -> None:
        for part in network.children():
            if part is not trained:
                freeze(part)
        super().__init__(network, trained, loss, optimizer, scheduler)
        self.measured = nn.ModuleDict({"expected_over_true": RatioOfMeans()})

    @abstractmethod
    def fuse(self, frames: Any) -> Estimate:
        """Fuse a batch of frames: the colour, and the error expected of it as people are told it."""

    @abstractmethod
    def colours(self, clip: Any, fused: Estimate | None = None) -> dict[str, Tensor]:  # type: ignore[override]
        """What validation scores of a batch of frames: ab (B, 2, H, W) by the name of the figure."""

    @abstractmethod
    def start(self, frames: Any) -> Tensor:
        """The ab, (B, 2, H, W), that the fusion begins from, before it has learnt."""

    @property
    def validation_metrics(self) -> list[str]:
        """The metrics that validation may log."""
        return [*super().validation_metrics, *(f"val/{name}" for name in self.measured)]

    def setup(self, stage: str) -> None:
        """Refuse rollouts for another stage, or of another system."""
        data: RolloutDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        if data.trains != self.trains_part:
            raise UserError(
                f"the rollouts in {data.root} are for training the {data.trains}: make others by flowchroma.rollouts"
                f" trains={self.trains_part}"
            )
        if data.made_by is None or not Fingerprint.of(self.network).fits(data.made_by, self.trains_part):
            raise UserError(
                f"the rollouts in {data.root} were made by other networks or by another error model: give the run"
                " that made them as weights.system and model.error_model=null, or make them anew by flowchroma.rollouts"
            )

    def train(self, mode: bool = True) -> "RolloutStage":
        """Switch the trained part's mode; the frozen networks stay in evaluation mode."""
        super().train(mode)
        self.network.eval()
        self.trained.train(mode)
        return self

    def predictions(self, clip: KeptFrames) -> Iterator[Prediction]:  # type: ignore[override]
        """The batch's frames, which are one each of a clip."""
        fused = self.fuse(clip)
        yield Prediction(
            ab=fused.ab, luma=clip.luma, target_ab=clip.true_ab, expected=fused.error, start_ab=self.start(clip)
        )

    def validation_step(self, clip: KeptFrames, batch_idx: int) -> None:  # type: ignore[override]
        """Score a batch of frames against the truth."""
        fused = self.fuse(clip)
        made = self.score(self.colours(clip, fused), clip.lab)
        true = chroma_distance(fused.ab, clip.true_ab)
        ratio = cast(Metric, self.measured["expected_over_true"])
        ratio.update(fused.error, true)
        figures = {f"val/{name}": metric for name, metric in self.psnr.items()}
        self.log_dict({**figures, "val/expected_over_true": ratio}, batch_size=len(clip.luma))
        if batch_idx == 0:
            self.shown = [self._errors_panel(clip, made, fused.error, true)]

    test_step = validation_step  # type: ignore[assignment]

    def _errors_panel(
        self, clip: KeptFrames, made: Mapping[str, Tensor], expected: Tensor, true: Tensor
    ) -> ValidationPanel:
        """The first frame: what was found, fused, and true, and the expected error beside the true one."""
        found = {name.removeprefix("psnr_"): rgb[0] for name, rgb in made.items() if name != "psnr"}
        own = {type(self.trained).__name__: made["psnr"][0], "truth": lab_to_rgb(clip.lab)[0]}
        errors = {"expected error": expected, "true error": true}
        maps = {name: (error[0] / _SHOWN).expand(3, -1, -1) for name, error in errors.items()}
        return ValidationPanel({**found, **own, **maps}, str(clip.names[0]))
