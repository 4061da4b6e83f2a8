"""Stage two: colour by matching."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma.losses import Prediction, WeightedSum
from flowchroma.models.swintexco import Matcher
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
        model: Matcher,
        loss: WeightedSum,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    ) -> None:
        super().__init__(model, model, loss, optimizer, scheduler)

    @property
    def model(self) -> Matcher:
        """The matching network."""
        return cast(Matcher, self.network)

    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """Every frame of the clip; the first only where the reference is another frame."""
        memory = self.model.remember(clip.references)
        reference = clip.references[:, 0]
        for t in range(self.first_judged(clip), clip.lab.shape[1]):
            luma = clip.luma[:, t]
            # The frame before is the true one: no gradient reaches back, no error adds up.
            found = self.model(luma, memory, clip.lab[:, t - 1] if t else None)
            yield Prediction(ab=found.ab, luma=luma, target_ab=clip.ab[:, t], reference=reference)

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """Each frame matched against the references, with the one before as it was coloured."""
        memory = self.model.remember(clip.references)
        last = clip.lab[:, 0]
        for t in range(1, clip.lab.shape[1]):
            luma = clip.luma[:, t]
            ab = self.model(luma, memory, last).ab
            last = torch.cat([luma, ab], dim=1)
            yield {"psnr": ab, "psnr_hold": clip.ab[:, 0]}
