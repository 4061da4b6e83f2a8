"""Stage three: the fusion of carried and matched colour."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma import ops
from flowchroma.errors import UserError
from flowchroma.losses import Prediction, WeightedSum
from flowchroma.models import FlowChroma, MemFlow, contracts
from flowchroma.models.state import Signals
from flowchroma.models.swintexco import Matcher
from flowchroma.training.stage import Shown, Stage, freeze
from flowchroma.types import Clip


class FusionStage(Stage):
    """Trains a fusion network on what frozen MemFlow and SwinTExCo give, rolled out on its own outputs.

    The colour of a frame is carried into the next, and gradients flow back with it, for `horizon` frames; they do not
    enter the memory of frames coloured before. Where the reference is the clip's first frame, that frame's colour is
    given and not judged. Clips are taken as single shots: what the flow cannot explain has little confidence, and
    starts no new stream.

    Validation compares the fusion (`val/psnr`) with propagation alone and matching alone, each rolled out by itself,
    and with the first colour held in place.

    Args:
        model: the fusion network.
        flow: MemFlow; frozen here.
        matcher: SwinTExCo; frozen here.
        loss: see `Stage`.
        optimizer: see `Stage`.
        scheduler: see `Stage`.
        recent: see `FlowChroma`.
        every: see `FlowChroma`.
        horizon: frames that gradients flow through; None for the whole clip.
        growth: frames of a clip that are rolled out, by the step from which on; None for all, always.
    """

    trains = contracts.Fusion
    uses: ClassVar[Mapping[str, Any]] = {"flow": contracts.FlowNetwork, "matcher": contracts.Matcher}
    compared = ("psnr_hold", "psnr_propagated", "psnr_matched")

    def __init__(
        self,
        model: nn.Module,
        flow: MemFlow,
        matcher: Matcher,
        loss: WeightedSum,
        optimizer: Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        recent: int = 8,
        every: int = 5,
        horizon: int | None = None,
        growth: Mapping[int, int] | None = None,
    ) -> None:
        freeze(flow)
        freeze(matcher)
        # A stream is cut for a whole batch or not at all, so that losses would depend on who shares a batch.
        flow.cut = None
        super().__init__(FlowChroma(flow, matcher, model, recent, every), model, loss, optimizer, scheduler)
        self.horizon, self.growth = horizon, dict(growth or {})
        if (horizon is not None and horizon < 1) or any(frames < 2 for frames in self.growth.values()):
            raise UserError("stage.module: horizon must be 1 or more, and growth lead to clips of 2 frames or more")

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
        first = self.first_judged(clip)
        own = clip.own_colours.view(-1, 1, 1, 1)
        for t, (signals, ab) in enumerate(self._roll_out(clip, self._frames(clip), self.horizon)):
            luma = clip.luma[:, t]
            if t >= first:
                yield Prediction(
                    ab=ab,
                    luma=luma,
                    target_ab=clip.ab[:, t],
                    mask=own.to(luma).expand_as(luma),
                    reference=clip.references,
                    previous_ab=before,
                    previous_luma=None if t == 0 else clip.luma[:, t - 1],
                    flow=None if signals.flow is None else signals.flow.carrier,
                    true_flow=None if t == 0 else clip.flow[:, t - 1],
                    visible=None if t == 0 else clip.visible[:, t - 1],
                    has_flow=clip.has_flow,
                )
            before = ab

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """The fusion's rollout, and what each input reaches without the other."""
        carried = clip.ab[:, 0]
        for signals, ab in self._roll_out(clip):
            self._last = signals
            if signals.flow is None:  # the first frame
                continue
            carried = ops.backward_warp(carried, signals.flow.carrier)
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

    def _frames(self, clip: Clip) -> int:
        """How many frames of a training clip are rolled out at this step."""
        whole = clip.lab.shape[1]
        begun = [step for step in self.growth if step <= self.global_step]
        return min(self.growth[max(begun)], whole) if begun else whole

    def _roll_out(
        self, clip: Clip, frames: int | None = None, horizon: int | None = None
    ) -> Iterator[tuple[Signals, Tensor]]:
        state = self.system.start(clip.references)
        for t, luma in enumerate(clip.luma[:, :frames].unbind(1)):
            if horizon and t % horizon == 0 and state.ab is not None:
                state = replace(state, ab=state.ab.detach())
            signals = self.system.look(luma, state)
            ab = self.system.fusion(signals)
            known = None
            if t == 0:
                given = clip.starts_coloured.view(-1, 1, 1, 1)
                known, ab = given, torch.where(given, clip.ab[:, 0], ab)
            state = self.system.advance(state, signals, ab)
            if known is not None and state.worth is not None:
                state = replace(state, worth=torch.where(known, 1.0, state.worth))
            yield signals, ab
