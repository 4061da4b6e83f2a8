"""Stage two: colour by matching."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma.losses import EstimatedMotion, ExactMotion, Prediction, PreviousFrame, WeightedSum
from flowchroma.models import contracts
from flowchroma.models.contracts import Matcher
from flowchroma.models.memflow import FlowEstimator
from flowchroma.training.stage import Stage, freeze, learning
from flowchroma.types import Clip


class SwinTExCoStage(Stage):
    """Trains SwinTExCo to find a frame's colour in references.

    Where every reference of a clip is of another film, the film's own colours are not to be found there: the L1 term is
    silent on that clip, as it would teach to guess, and to distrust what was found. What asks for no particular colour
    still teaches: the contextual term asks for the references' colours, the perceptual one for what the frame
    shows. He et al. (Deep Exemplar-based Colorization, SIGGRAPH 2018) train on foreign references by features alone.

    Args:
        model: the network.
        loss: see `Stage`; or a function that builds it, given the network's own trunk as `matching_trunk`, which then
            stays frozen.
        optimizer: see `Stage`.
        scheduler: see `Stage`.
        flow: the flow network; frozen here. The temporal term compares frames along it, and where a clip has exact
            motion along that. Without it clips without exact motion are not compared.
    """

    trains = contracts.Matcher
    uses: ClassVar[Mapping[str, Any]] = {"flow": contracts.FlowNetwork}
    compared = ("psnr_hold",)

    def __init__(
        self,
        model: Matcher,
        loss: WeightedSum | Callable[..., WeightedSum],
        optimizer: Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        flow: FlowEstimator | None = None,
    ) -> None:
        network = cast(Any, model)
        trunk: nn.Module = getattr(network.embed, "trunk", network.embed)
        if not isinstance(loss, WeightedSum):
            loss = loss(matching_trunk=trunk)
        super().__init__(network, network, loss, optimizer, scheduler)
        if flow is not None:
            freeze(flow)
        self.flow, self._trunk = flow, [trunk]  # in a list, so that it is not registered twice

    def train(self, mode: bool = True) -> "SwinTExCoStage":
        """Switch the network's mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for part in (self.flow, *self._trunk):
            if part is not None and not learning(part):
                part.eval()
        return self

    @property
    def model(self) -> Matcher:
        """The matching network."""
        return cast(Matcher, self.network)

    def predictions(self, clip: Clip) -> Iterator[Prediction]:
        """Every frame of the clip; the first only where the reference is another frame."""
        first = self.first_judged(clip)
        memory = self.model.encode_references(clip.references)
        flows, exact = self._motion(clip)
        before = clip.ab[:, 0] if first else None
        for t in range(first, clip.lab.shape[1]):
            luma = clip.luma[:, t]
            # The frame before is the true one: no gradient reaches back, no error adds up.
            ab = self.model(luma, memory, clip.lab[:, t - 1] if t else None).ab
            found = Prediction(
                ab=ab,
                luma=luma,
                target_ab=clip.ab[:, t],
                mask=clip.own_colours.to(luma).view(-1, 1, 1, 1).expand_as(luma),
                reference=clip.references,
            )
            if t:
                previous = PreviousFrame(clip.luma[:, t - 1], clip.ab[:, t - 1], before)
                found = replace(found, previous=previous, estimate=flows[t - 1], exact=exact[t - 1])
            yield found
            before = ab

    def _motion(self, clip: Clip) -> tuple[list[EstimatedMotion | None], list[ExactMotion]]:
        """The motion of each frame from the second on: as the flow network has it, and exactly."""
        known, visible = clip.has_flow, clip.visible
        frames = range(clip.flow.shape[1])
        flows: list[EstimatedMotion | None] = [None for _ in frames]
        if "temporal" in self.loss.weights and self.flow is not None:
            with torch.no_grad():
                flows = [EstimatedMotion(iterates[-1]) for iterates in self.flow(clip.luma)]
        else:  # where no motion is known no pixel counts as visible, so that nothing is compared
            known, visible = torch.ones_like(known), visible * known.view(-1, 1, 1, 1, 1)
        return flows, [ExactMotion(clip.flow[:, t], visible[:, t], known) for t in frames]

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """Each frame matched against the references, with the one before as it was coloured."""
        memory = self.model.encode_references(clip.references)
        last = clip.lab[:, 0]
        for t in range(1, clip.lab.shape[1]):
            luma = clip.luma[:, t]
            ab = self.model(luma, memory, last).ab
            last = torch.cat([luma, ab], dim=1)
            yield {"psnr": ab, "psnr_hold": clip.ab[:, 0]}
