"""Stage three: the fusion of carried and matched colour."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma import ops
from flowchroma.losses import Prediction, WeightedSum
from flowchroma.models import FlowChroma, MemFlow
from flowchroma.models.swintexco import Matcher
from flowchroma.training.stage import Shown, Stage, freeze
from flowchroma.types import Clip, Signals


class FusionStage(Stage):
    """Trains a fusion network on what frozen MemFlow and SwinTExCo give, rolled out on its own outputs.

    Gradients flow through the whole clip: the colour of a frame is carried into the next. Where the reference is the
    clip's first frame, that frame's colour is given and not judged.

    Validation compares the fusion (`val/psnr`) with propagation alone and matching alone, each rolled out by itself,
    and with the first colour held in place.

    Args:
        model: the fusion network.
        flow: MemFlow; frozen here.
        matcher: SwinTExCo; frozen here.
        loss: see `Stage`.
        optimizer: see `Stage`.
        scheduler: see `Stage`.
    """

    compared = ("psnr_hold", "psnr_propagated", "psnr_matched")

    def __init__(
        self,
        model: nn.Module,
        flow: MemFlow,
        matcher: Matcher,
        loss: WeightedSum,
        optimizer: Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
    ) -> None:
        freeze(flow)
        freeze(matcher)
        super().__init__(FlowChroma(flow, matcher, model), model, loss, optimizer, scheduler)

    def train(self, mode: bool = True) -> "FusionStage":
        """Switch the fusion's mode; the frozen networks stay in evaluation mode."""
        super().train(mode)
        self.system.flow.eval()
        self.system.matcher.eval()
        return self

    @property
    def system(self) -> FlowChroma:
        """The three networks together."""
        return cast(FlowChroma, self.network)

    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """The clip rolled out; the first frame is judged where its colour was not given."""
        before: Tensor | None = None
        reference, first = clip.references[:, 0], self.first_judged(clip)
        for t, (signals, ab) in enumerate(self._roll_out(clip)):
            if t >= first:
                yield Prediction(
                    ab=ab,
                    luma=clip.luma[:, t],
                    target_ab=clip.ab[:, t],
                    reference=reference,
                    previous_ab=before,
                    previous_luma=None if t == 0 else clip.luma[:, t - 1],
                    flow=None if signals.flow is None else signals.flow.flow,
                    true_flow=None if t == 0 else clip.flow[:, t - 1],
                    visible=None if t == 0 else clip.visible[:, t - 1],
                    has_flow=clip.has_flow,
                )
            before = ab

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """The fusion's rollout, and what each input reaches without the other."""
        carried = clip.ab[:, 0]
        for t, (signals, ab) in enumerate(self._roll_out(clip)):
            self._last = signals
            if t == 0 or signals.flow is None:
                continue
            carried = ops.backward_warp(carried, signals.flow.flow)
            yield {
                "psnr": ab,
                "psnr_hold": clip.ab[:, 0],
                "psnr_propagated": carried,
                "psnr_matched": signals.match.ab,
            }

    def panel(self, clip: Clip, last: dict[str, Tensor]) -> Shown:
        """Gray, propagated, matched, fused, truth and both confidences."""
        shown = super().panel(clip, last)
        maps = {
            "flow confidence": self._last.propagation.confidence[0].float().expand(3, -1, -1),
            "similarity": self._last.match.similarity[0].float().expand(3, -1, -1),
        }
        return Shown({**shown.images, **maps}, shown.caption)

    def _roll_out(self, clip: Clip) -> Iterator[tuple[Signals, Tensor]]:
        state = self.system.start(clip.references)
        for t, luma in enumerate(clip.luma.unbind(1)):
            signals = self.system.look(luma, state)
            ab = self.system.fuse(luma, signals)
            if t == 0:
                ab = torch.where(clip.starts_coloured.view(-1, 1, 1, 1), clip.ab[:, 0], ab)
            state = self.system.advance(state, signals, ab)
            yield signals, ab
