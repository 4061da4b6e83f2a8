"""What the stages have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, distributed, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma import processes
from flowchroma.color import into_gamut, lab_to_rgb
from flowchroma.errors import UserError
from flowchroma.losses import NEEDS_MATCHING, LossValues, Prediction, WeightedSum
from flowchroma.metrics import MeanPSNR
from flowchroma.types import Clip
from flowchroma.weights.files import differences

OptimizerFactory = Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler]


@dataclass(frozen=True)
class ValidationPanel:
    """Pictures of a validated frame, by name: each (3, H, W), sRGB in [0, 1]."""

    images: dict[str, Tensor]
    caption: str


class Stage(LightningModule, ABC):
    """Trains one network of a system.

    Args:
        network: what is saved, frozen parts included.
        trained: the part of it that learns.
        loss: weighs a `Prediction`.
        optimizer: builds an optimizer for parameters, given with their names.
        scheduler: builds a schedule, stepped once a step.

    Every stage logs `train/loss`, and each term as `train/TERM` and `train/TERM_weighted`. It validates `val/psnr`, of
    sRGB against the truth in dB, over every frame of a clip but the first, whose colour is the reference.
    """

    def __init__(
        self,
        network: nn.Module,
        trained: nn.Module,
        loss: WeightedSum,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(loss, WeightedSum):
            raise UserError(NEEDS_MATCHING)
        self.network, self.loss = network, loss
        self._trained = [trained]  # in a list, so that it is not registered twice
        self._optimizer, self._scheduler = optimizer, scheduler
        self._psnr = nn.ModuleDict({name: MeanPSNR(data_range=1.0) for name in ("psnr", *self.baselines)})
        self.shown: list[ValidationPanel] = []

    trains: ClassVar[Any]  # the contract that `model` fulfils: FlowNetwork, Matcher, Fusion or BidirectionalFusion
    uses: ClassVar[Mapping[str, Any]] = {}  # those of the frozen networks beside it, by argument
    extends_system: ClassVar[bool] = False  # whether the frozen networks are those of one system, by `weights.system`
    baselines: Sequence[str] = ()  # whose PSNR is validated, too, as "psnr_hold"

    @property
    def validation_metrics(self) -> list[str]:
        """The metrics that validation may log."""
        return [f"val/{name}" for name in self._psnr]

    @property
    def psnr(self) -> dict[str, MeanPSNR]:
        """The PSNR metrics by name."""
        return {name: cast(MeanPSNR, metric) for name, metric in self._psnr.items()}

    @property
    def trained(self) -> nn.Module:
        """The part of the network that learns."""
        return self._trained[0]

    @property
    def has_parameters(self) -> bool:
        """Whether there is anything to train."""
        return any(p.requires_grad for p in self.trained.parameters())

    @abstractmethod
    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """The frames of a training clip that the loss is computed on."""

    @abstractmethod
    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """For each frame from the second on, ab (B, 2, H, W) by the name of its figure; `psnr` is the stage's own."""

    def losses(self, clip: Clip) -> list[LossValues]:
        """The loss of each predicted frame of a training batch."""
        return [self.loss(prediction) for prediction in self.predictions(clip)]

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Mean loss over the predicted frames of a batch."""
        values = self.losses(clip)
        total = torch.stack([v.total for v in values]).mean()
        size = clip.lab.shape[0]
        shared: dict[str, Any] = {"batch_size": size, "sync_dist": True}  # the mean over the processes
        self.log("train/loss", total.detach(), prog_bar=True, **shared)
        for name in values[0].unweighted:
            self.log(f"train/{name}", _mean(v.unweighted[name] for v in values), prog_bar=True, **shared)
            self.log(f"train/{name}_weighted", _mean(v.weighted[name] for v in values), **shared)
        return total

    def first_predicted(self, clip: Clip) -> int:
        """The first frame whose colour is to be found: 1 where all clips of the batch were given that of frame 0."""
        # One answer for all processes: they share a batch, and wait for each other in every frame.
        return 0 if processes.any_process(~clip.starts_coloured.all()) else 1

    def on_validation_epoch_start(self) -> None:
        """Let all processes validate with the statistics that are saved, those of the first one."""
        if processes.world_size() > 1:
            for buffer in self.network.buffers():
                distributed.broadcast(buffer, src=0)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another network, with what differs."""
        if wrong := differences(self.state_dict(), checkpoint["state_dict"]):
            raise UserError(f"the checkpoint is of another network or loss than configured: {wrong}")

    def validation_step(self, clip: Clip, batch_idx: int) -> None:
        """Score a batch of clips against the truth."""
        last: dict[str, Tensor] = {}
        for t, found in enumerate(self.colours(clip), start=1):
            last = self.score(found, clip.lab[:, t])
        self.log_dict({f"val/{name}": metric for name, metric in self.psnr.items()}, batch_size=clip.lab.shape[0])
        if batch_idx == 0:
            self.shown = [self.panel(clip, last)]

    test_step = validation_step

    def score(self, found: Mapping[str, Tensor], lab: Tensor) -> dict[str, Tensor]:
        """Score colours of a frame, ab (B, 2, H, W) by name, against the truth (B, 3, H, W), CIELAB; each as sRGB."""
        truth = lab_to_rgb(lab)
        labs = {name: torch.cat([lab[:, :1], ab.float()], dim=1) for name, ab in found.items()}
        made = {name: lab_to_rgb(into_gamut(one)) for name, one in labs.items()}  # as films are written
        for name, rgb in made.items():
            self.psnr[name].update(rgb, truth)
        return made

    def panel(self, clip: Clip, last: dict[str, Tensor]) -> ValidationPanel:
        """The first clip's last frame: gray, what was made of it, and the truth."""
        gray = (clip.luma[0, -1] / 100).expand(3, -1, -1)
        made = {name.removeprefix("psnr_"): rgb[0] for name, rgb in last.items() if name != "psnr"}
        own = {self.trained.__class__.__name__: last["psnr"][0]}
        return ValidationPanel({"gray": gray, **made, **own, "truth": lab_to_rgb(clip.lab[0, -1])}, str(clip.names[0]))

    def configure_optimizers(self) -> Any:
        """The optimizer over what learns, and its schedule by steps."""
        optimizer = self._optimizer(trainable_parameters(self.trained))
        if self._scheduler is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"}}


def _mean(values: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()


def trainable_parameters(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters that learn, by name."""
    return [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]


def freeze(network: nn.Module) -> None:
    """Take every parameter out of training."""
    network.requires_grad_(False).eval()
