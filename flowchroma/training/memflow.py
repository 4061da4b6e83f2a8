"""Stage one: flow that carries colour."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma import ops
from flowchroma.losses import Prediction, WeightedSum
from flowchroma.metrics import EndPointError
from flowchroma.models import MemFlow
from flowchroma.training.stage import Stage
from flowchroma.types import Clip


class MemFlowStage(Stage):
    """Trains MemFlow on exact flow where a clip has it, and on the colour that the flow carries.

    Validation carries the first frame's colour through the clip along the chained flow, and adds `val/epe`, the mean
    end-point error in pixels over clips with exact flow, and `val/psnr_hold`, the first colour left where it was.

    Args:
        model: the network.
        loss: see `Stage`.
        optimizer: see `Stage`.
        scheduler: see `Stage`.
    """

    compared = ("psnr_hold",)

    def __init__(
        self,
        model: MemFlow,
        loss: WeightedSum,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    ) -> None:
        super().__init__(model, model, loss, optimizer, scheduler)
        self.epe = EndPointError()

    @property
    def model(self) -> MemFlow:
        """The flow network."""
        return cast(MemFlow, self.network)

    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """Each frame from the second on, its colour carried from the true one before it."""
        for t, iterates in enumerate(self.model(clip.luma), start=1):
            yield Prediction(
                ab=ops.backward_warp(clip.ab[:, t - 1], iterates[-1]),
                luma=clip.luma[:, t],
                target_ab=clip.ab[:, t],
                previous_luma=clip.luma[:, t - 1],
                previous_target_ab=clip.ab[:, t - 1],
                flow=iterates[-1],
                iterates=iterates,
                true_flow=clip.flow[:, t - 1],
                visible=clip.visible[:, t - 1],
                has_flow=clip.has_flow,
            )

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """The first frame's colour, carried frame to frame."""
        _, state = self.model.step(clip.luma[:, 0], None)
        ab = clip.ab[:, 0]
        for t in range(1, clip.lab.shape[1]):
            flow, state = self.model.step(clip.luma[:, t], state)
            assert flow is not None
            if clip.has_flow.any():
                known = clip.has_flow
                self.epe.update(flow.flow[known], clip.flow[known, t - 1])
            ab = ops.backward_warp(ab, flow.flow)
            yield {"psnr": ab, "psnr_hold": clip.ab[:, 0]}

    def on_validation_epoch_end(self) -> None:
        """Log the end-point error where any clip had exact flow."""
        if self.epe.update_called:
            self.log("val/epe", self.epe, prog_bar=True)

    on_test_epoch_end = on_validation_epoch_end
