"""Stage two with a discriminator."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.func import functional_call
from torch.optim.lr_scheduler import LRScheduler

from flowchroma.errors import UserError
from flowchroma.losses import LossValues, Prediction, WeightedSum, discriminator_loss, generator_loss
from flowchroma.models.contracts import Matcher
from flowchroma.models.memflow import FlowEstimator
from flowchroma.models.swintexco import Discriminator
from flowchroma.training.stage import OptimizerFactory, SchedulerFactory, trainable_parameters
from flowchroma.training.swintexco import SwinTExCoStage
from flowchroma.types import Clip


class AdversarialStage(SwinTExCoStage):
    """Trains SwinTExCo against a discriminator that is given each frame with the one before it.

    The discriminator is trained on the network's colour without gradient, and the adversarial term is computed with the
    discriminator's weights as constants. One backward pass of the sum of both losses then reaches every parameter once,
    as DDP needs that does not search for unused ones, and each optimizer takes its own step. The published program
    steps the discriminator first; here both gradients are taken at the same weights.

    The discriminator is trained from the first epoch on, the adversarial term added from `after_epoch` on. It logs
    `train/discriminator` beside what every stage logs, and `train/adversarial` while the term is added.

    `model`, `loss`, `optimizer`, `scheduler` and `flow` are those of `SwinTExCoStage`; a second optimizer and schedule
    are built for the discriminator, whose parameters are named "discriminator.".

    Args:
        adversarial: weight of the adversarial term.
        after_epoch: epochs without the adversarial term.
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
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory | None = None,
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
            raise UserError(f"a step has {accumulate} batches: give 1 or more", code=2)
        super().__init__(model, loss, optimizer, scheduler, flow)
        self.automatic_optimization = False
        self.discriminator = Discriminator(width=discriminator_width)
        self.adversarial, self.after_epoch = adversarial, after_epoch
        self.clip, self.accumulate = clip, accumulate

    @property
    def uses_adversarial_term(self) -> bool:
        """Whether the adversarial term is added in this epoch."""
        return self.adversarial > 0 and self.current_epoch >= self.after_epoch

    def setup(self, stage: str) -> None:
        """Set how many batches make a step, by which the trainer counts; it refuses this as its own option."""
        if stage == "fit":
            self.trainer.accumulate_grad_batches = self.accumulate

    def teardown(self, stage: str) -> None:
        """Reset it, so that the trainer may fit again."""
        self.trainer.accumulate_grad_batches = 1

    def on_train_start(self) -> None:
        """Warn where the run ends before the adversarial term is added."""
        steps = self.trainer.max_steps * self.accumulate / self.trainer.num_training_batches
        ends = [epochs for epochs in (self.trainer.max_epochs, steps) if epochs is not None and epochs >= 0]
        if self.adversarial and ends and min(ends) <= self.after_epoch:
            rank_zero_warn(
                f"the run ends after {min(ends):.2g} epochs, and the adversarial term is added from epoch "
                f"{self.after_epoch} on: set stage.module.after_epoch lower, or train longer"
            )

    def losses(self, clip: Clip) -> list[LossValues]:
        """As `Stage.losses`, with the batch's adversarial term; keeps the discriminator's own loss."""
        predictions = list(self.predictions(clip))
        values = [self.loss(prediction) for prediction in predictions]
        real, predicted = _pairs(predictions)
        real_scores = self.discriminator(real)
        self._discriminator_loss = discriminator_loss(real_scores, self.discriminator(predicted.detach()))
        if not self.uses_adversarial_term:
            return values
        constants = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        scores = functional_call(self.discriminator, constants, (predicted,))
        term = generator_loss(real_scores.detach(), scores)
        return [value.plus("adversarial", term, self.adversarial) for value in values]

    def training_step(self, clip: Clip, batch_idx: int) -> Tensor:
        """Train the network and the discriminator; return the network's loss."""
        total = super().training_step(clip, batch_idx)
        own = self._discriminator_loss
        self.log("train/discriminator", own.detach(), prog_bar=True, batch_size=clip.lab.shape[0], sync_dist=True)
        self._step(total + own, last=(batch_idx + 1) % self.accumulate == 0 or self.trainer.is_last_batch)
        return total.detach()

    def configure_optimizers(self) -> Any:
        """One optimizer for the network and one for the discriminator, each with its schedule.

        Refuses a trainer that scales losses for float16: the two optimizers would need a scale each.
        """
        if self.trainer.precision == "16-mixed":
            raise UserError(
                "a network and its discriminator are not trained in 16-mixed: use trainer.precision=bf16-mixed"
            )
        of_discriminator = [(f"discriminator.{name}", p) for name, p in trainable_parameters(self.discriminator)]
        optimizers = [self._optimizer(of_one) for of_one in (trainable_parameters(self.trained), of_discriminator)]
        if self._scheduler is None:
            return optimizers
        return optimizers, [{"scheduler": self._scheduler(o), "interval": "step"} for o in optimizers]

    def _step(self, loss: Tensor, last: bool) -> None:
        """Add the gradients of a batch; after the last of a step's batches, take the step."""
        strategy = self.trainer.strategy
        waits = not last and isinstance(strategy, ParallelStrategy)
        with strategy.block_backward_sync() if waits else nullcontext():  # type: ignore[attr-defined]
            self.manual_backward(loss / self.accumulate)
        if not last:
            return
        network, discriminator = cast(Sequence[LightningOptimizer], self.optimizers())
        for optimizer in (network, discriminator):
            if self.clip:
                self.clip_gradients(optimizer.optimizer, self.clip, "norm")
        network.step()
        # With its hooks, but past the count: Lightning would take it for another step of the run.
        strategy.optimizer_step(discriminator.optimizer, lambda: None)
        for optimizer in (network, discriminator):
            optimizer.zero_grad()
        for schedule in cast(Sequence[LRScheduler], self.lr_schedulers() or ()):
            schedule.step()


def _pairs(predictions: Sequence[Prediction]) -> tuple[Tensor, Tensor]:
    """Each frame with the one before it, in true and in predicted colours: (N, 2, 3, H, W) each."""
    real, predicted = [], []
    for p in predictions:
        before = p.previous
        if before is None or before.ab is None:
            continue  # a clip's first frame
        real.append(torch.stack([p.target_lab, torch.cat([before.luma, before.target_ab], dim=1)], dim=1))
        predicted.append(torch.stack([p.lab, torch.cat([before.luma, before.ab], dim=1)], dim=1))
    return torch.cat(real), torch.cat(predicted)
