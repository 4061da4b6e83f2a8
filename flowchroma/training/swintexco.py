"""Stage two: colour by matching."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flowchroma.losses import Prediction, WeightedSum
from flowchroma.models import MemFlow, contracts
from flowchroma.models.swintexco import Matcher
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
        loss: see `Stage`; or a function that makes it for a trunk, and gets the network's own, which then stays frozen.
        optimizer: see `Stage`.
        scheduler: see `Stage`.
        flow: MemFlow; frozen here. The temporal term compares frames along it, and where a clip has exact motion along
            that. Without it clips without exact motion are not compared.
    """

    trains = contracts.Matcher
    uses: ClassVar[Mapping[str, Any]] = {"flow": contracts.FlowNetwork}
    compared = ("psnr_hold",)

    def __init__(
        self,
        model: Matcher,
        loss: WeightedSum | Callable[[nn.Module], WeightedSum],
        optimizer: Callable[[Iterable[tuple[str, nn.Parameter]]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        flow: MemFlow | None = None,
    ) -> None:
        trunk = cast(nn.Module, getattr(model.embed, "trunk", model.embed))
        if not isinstance(loss, WeightedSum):
            loss = loss(trunk)
        super().__init__(model, model, loss, optimizer, scheduler)
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
        memory = self.model.remember(clip.references)
        motion = self._motion(clip)
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
            yield replace(found, previous_ab=before, **motion[t - 1]) if t else found
            before = ab

    def _motion(self, clip: Clip) -> list[dict[str, Any]]:
        """What a `Prediction` says of the frame before, for each frame from the second on."""
        known, seen = clip.has_flow, clip.visible
        flows: list[Tensor] | None = None
        if "temporal" in self.loss.weights and self.flow is not None:
            with torch.no_grad():
                flows = [iterates[-1] for iterates in self.flow(clip.luma)]
        else:  # where no motion is known, nothing is seen to be compared
            known, seen = torch.ones_like(known), seen * known.view(-1, 1, 1, 1, 1)
        return [
            {
                "previous_luma": clip.luma[:, t],
                "previous_target_ab": clip.ab[:, t],
                "true_flow": clip.flow[:, t],
                "visible": seen[:, t],
                "has_flow": known,
            }
            | ({} if flows is None else {"flow": flows[t]})
            for t in range(clip.flow.shape[1])
        ]

    def colours(self, clip: Clip) -> Iterator[dict[str, Tensor]]:
        """Each frame matched against the references, with the one before as it was coloured."""
        memory = self.model.remember(clip.references)
        last = clip.lab[:, 0]
        for t in range(1, clip.lab.shape[1]):
            luma = clip.luma[:, t]
            ab = self.model(luma, memory, last).ab
            last = torch.cat([luma, ab], dim=1)
            yield {"psnr": ab, "psnr_hold": clip.ab[:, 0]}
