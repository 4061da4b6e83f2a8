"""Stage two: colour by matching."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma.losses import Prediction, WeightedSum
from flowchroma.models import SwinTExCoSmall
from flowchroma.training.stage import Stage
from flowchroma.types import Clip


class SwinTExCoStage(Stage):
    """Trains SwinTExCo to find a frame's colour in a reference.

    Args:
        model: the network.
        loss: see `Stage`.
        optimizer: see `Stage`.
        scheduler: see `Stage`.
    """

    compared = ("psnr_hold",)

    def __init__(
        self,
        model: SwinTExCoSmall,
        loss: WeightedSum,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    ) -> None:
        super().__init__(model, model, loss, optimizer, scheduler)

    @property
    def model(self) -> SwinTExCoSmall:
        """The matching network."""
        return cast(SwinTExCoSmall, self.network)

    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """Every frame of the clip; the first only where the reference is another frame."""
        memory = self.model.remember(clip.references)
        reference = clip.references[:, 0]
        for t in range(1 if clip.starts_coloured.all() else 0, clip.lab.shape[1]):
            luma = clip.luma[:, t]
            found = self.model(luma, memory)
            yield Prediction(ab=found.ab, luma=luma, target_ab=clip.ab[:, t], reference=reference)

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """Each frame matched against the references on its own."""
        memory = self.model.remember(clip.references)
        for t in range(1, clip.lab.shape[1]):
            yield {"psnr": self.model(clip.luma[:, t], memory).ab, "psnr_hold": clip.ab[:, 0]}
