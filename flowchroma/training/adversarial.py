"""Stage two with a discriminator: colour that also has to look real."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma.errors import UserError
from flowchroma.losses import LossValues, Prediction, WeightedSum, discriminator_loss, generator_loss
from flowchroma.models.contracts import Matcher
from flowchroma.models.memflow import FlowEstimator
from flowchroma.models.swintexco import Discriminator
from flowchroma.training.stage import learning
from flowchroma.training.swintexco import SwinTExCoStage
from flowchroma.types import Clip


class AdversarialStage(SwinTExCoStage):
    """Trains SwinTExCo against a discriminator that sees each frame beside the one before it.

    The two losses never share a gradient: the discriminator judges the network's colour cut off from the network, and
    the network hears a discriminator whose weights are constants. So one backward pass of their sum serves both, and
    reaches every parameter once, which several processes need that do not search for unused ones. Each side then takes
    its own step. The published program steps the discriminator first; here both step from the same place.

    The discriminator learns from the first epoch on, so that it has something to say when the network starts to listen.

    It logs `train/discriminator` beside what every stage logs, and `train/adversarial` once the network listens.

    Args:
        model: see `SwinTExCoStage`.
        loss: see `SwinTExCoStage`.
        optimizer: builds one optimizer for the network and another for the discriminator, whose parameters are named
            "discriminator.".
        scheduler: builds a schedule for each, stepped once a step.
        flow: see `SwinTExCoStage`.
        adversarial: weight of the adversarial term.
        after_epoch: epochs before the network listens.
        discriminator_width: see `Discriminator`.
        clip: largest norm of the gradient of the network, and of that of the discriminator; None or 0 for any.
        accumulate: batches whose gradients make a step.

    Raises:
        UserError: a weight below 0, or fewer than 1 batch a step.
    """

    def __init__(
        self,
        model: Matcher,
        loss: WeightedSum | Callable[..., WeightedSum],
        optimizer: Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        flow: FlowEstimator | None = None,
        adversarial: float = 0.015,
        after_epoch: int = 3,
        discriminator_width: int = 64,
        clip: float | None = None,
        accumulate: int = 1,
    ) -> None:
        if adversarial < 0:
            raise UserError(f"the adversarial term's weight is {adversarial}: give a number of at least 0")
        if accumulate < 1:
            raise UserError(f"a step has {accumulate} batches: give 1 or more")
        super().__init__(model, loss, optimizer, scheduler, flow)
        self.automatic_optimization = False
        self.discriminator = Discriminator(width=discriminator_width)
        self.adversarial, self.after_epoch = adversarial, after_epoch
        self.clip, self.accumulate = clip, accumulate

    @property
    def listens(self) -> bool:
        """Whether the network hears the discriminator by now."""
        return self.adversarial > 0 and self.current_epoch >= self.after_epoch

    def setup(self, stage: str) -> None:
        """Tell the trainer, which would have refused it before, how many batches make a step: it counts by that."""
        if stage == "fit":
            self.trainer.accumulate_grad_batches = self.accumulate

    def teardown(self, stage: str) -> None:
        """Take that back, so that the trainer may fit again."""
        self.trainer.accumulate_grad_batches = 1

    def on_train_start(self) -> None:
        """Say so where the run ends before the network listens."""
        steps = self.trainer.max_steps * self.accumulate / self.trainer.num_training_batches
        ends = [epochs for epochs in (self.trainer.max_epochs, steps) if epochs is not None and epochs >= 0]
        if self.adversarial and ends and min(ends) <= self.after_epoch:
            rank_zero_warn(
                f"the run ends after {min(ends):.2g} epochs, and the network hears its discriminator from epoch "
                f"{self.after_epoch} on: set stage.module.after_epoch lower, or train longer"
            )

    def losses(self, clip: Clip) -> list[LossValues]:
        """See `Stage.losses`; with the adversarial term, which is one for the batch, once the network listens."""
        judged = list(self.predictions(clip))
        values = [self.loss(prediction) for prediction in judged]
        real, made = _pairs(judged)
        says_real = self.discriminator(real)
        self._against = discriminator_loss(says_real, self.discriminator(made.detach()))
        if not self.listens:
            return values
        term = generator_loss(says_real.detach(), self._heard(made))
        return [value.plus("adversarial", term, self.adversarial) for value in values]

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Teach both sides; return the network's loss."""
        total = super().training_step(clip, batch_idx)
        against = self._against
        shared: dict[str, Any] = {"batch_size": clip.lab.shape[0], "sync_dist": True}
        self.log("train/discriminator", against.detach(), prog_bar=True, **shared)
        self._learn(total + against, last=(batch_idx + 1) % self.accumulate == 0 or self.trainer.is_last_batch)
        return total.detach()

    def configure_optimizers(self) -> Any:
        """One optimizer for the network and one for the discriminator, each with its schedule.

        Raises:
            UserError: the trainer scales losses for float16, of which the two sides would need one scale each.
        """
        if self.trainer.precision == "16-mixed":
            raise UserError(
                "a network and its discriminator are not trained in 16-mixed: use trainer.precision=bf16-mixed"
            )
        sides = [learning(self.trained), [(f"discriminator.{k}", p) for k, p in learning(self.discriminator)]]
        optimizers = [self._optimizer(side) for side in sides]
        if self._scheduler is None:
            return optimizers
        return optimizers, [{"scheduler": self._scheduler(o), "interval": "step"} for o in optimizers]

    def _heard(self, made: Tensor) -> Tensor:
        """What the discriminator says, with weights that take no gradient."""
        constants = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        return functional_call(self.discriminator, constants, (made,))

    def _learn(self, loss: Tensor, last: bool) -> None:
        """Add the gradients of a batch; after the last of a step's batches, take the step."""
        strategy = self.trainer.strategy
        waits = not last and isinstance(strategy, ParallelStrategy)
        with strategy.block_backward_sync() if waits else nullcontext():  # type: ignore[attr-defined]
            self.manual_backward(loss / self.accumulate)
        if not last:
            return
        network, discriminator = cast(Sequence[LightningOptimizer], self.optimizers())
        for side in (network, discriminator):
            if self.clip:
                self.clip_gradients(side.optimizer, self.clip, "norm")
        network.step()
        # With its hooks, but past the count: Lightning would take it for another step of the run.
        strategy.optimizer_step(discriminator.optimizer, lambda: None)
        for side in (network, discriminator):
            side.zero_grad()
        for schedule in cast(Sequence[LRScheduler], self.lr_schedulers() or ()):
            schedule.step()


def _pairs(judged: Sequence[Prediction]) -> tuple[Tensor, Tensor]:
    """Each judged frame with the one before it, in its true and in its made colours: (N, 2, 3, H, W) each."""
    real, made = [], []
    for p in judged:
        before = p.previous
        if before is None or before.ab is None:
            continue  # a clip's first frame
        real.append(torch.stack([p.target_lab, torch.cat([before.luma, before.target_ab], dim=1)], dim=1))
        made.append(torch.stack([p.lab, torch.cat([before.luma, before.ab], dim=1)], dim=1))
    return torch.cat(real), torch.cat(made)
