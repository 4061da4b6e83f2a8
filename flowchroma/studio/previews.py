"""One frame coloured by matching alone, at once: where its colours come from, and how sure they are."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from flowchroma.app.colouring.assignments import Assignment
from flowchroma.app.colouring.pictures import Picture
from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import enlarge, lay_over, shrink, to_array, to_tensor
from flowchroma.models.estimate import Estimate
from flowchroma.models.state import ReferenceMemory, State
from flowchroma.plans.plan_file import gray_of
from flowchroma.studio.colours import Colours
from flowchroma.studio.project import Project

SIZES = {"quick": 112, "full": 240}  # short side at which colour is computed, as in conf/preset
_NEAREST = 4  # keyframes that a frame is matched with, as in colouring
_ENCODED = 6  # pictures whose features are remembered


@dataclass(frozen=True)
class Source:
    """A picture that a frame takes colours from."""

    name: str
    share: float  # of the frame's pixels


@dataclass(frozen=True)
class Preview:
    """A frame in gray and in colour."""

    frame: int
    gray: np.ndarray  # (H, W, 3) uint8
    coloured: np.ndarray  # (H, W, 3) uint8
    sources: Sequence[Source]
    source: np.ndarray  # (h, w), index into `sources`
    error: np.ndarray  # (h, w), expected, CIELAB units, as it is told to people
    finished: bool  # `coloured` is the frame of the film that is being made
    given: bool = False  # a still shows it


class Previewer:
    """Colours single frames.

    Args:
        project: The project.
        colours: What its shots are coloured from.
    """

    def __init__(self, project: Project, colours: Colours) -> None:
        self._project, self._colours = project, colours
        self._lock = threading.Lock()
        self._encoded: OrderedDict[tuple[str, int], ReferenceMemory] = OrderedDict()

    @torch.inference_mode()
    def preview(self, number: int, size: int) -> Preview:
        """Colour a frame at a short side of `size`, or give it as it was coloured.

        Raises:
            UserError: Its shot has no coloured picture, or a picture or the frame cannot be read.
        """
        with self._lock:
            assignment = next(a for a in self._colours.assignments() if a.shot.start <= number < a.shot.stop)
            rgb = self._project.frame(number)
            if assignment.keeps_colour:
                nothing = np.zeros(rgb.shape[:2])
                own = [Source("the film's own colours", 1.0)]
                return Preview(number, gray_of(rgb), rgb, own, nothing.astype(int), nothing, True)
            made = self._matched(number, rgb, assignment, size)
            finished = self._colours.finished(number)
            return made if finished is None else replace(made, coloured=finished, finished=True)

    def _matched(self, number: int, rgb: np.ndarray, assignment: Assignment, size: int) -> Preview:
        system, pictures = self._colours.system, self._pictures(number, assignment)
        luma = rgb_to_lab(to_tensor(rgb, self._colours.device))[:, :1]
        small = shrink(luma, size)
        memories = [self._memory(picture, size) for _, picture in pictures]
        frame = system.advance(small, State(memories[0] if len(memories) == 1 else ReferenceMemory.join(memories)))
        assert frame.signals is not None
        estimate = Estimate.of(frame, system.fusion.error_model).calibrated()
        source, error = frame.signals.match.source, estimate.error
        ab = enlarge(estimate.ab, luma.shape[-2:])
        given = assignment.keyframes.get(number)
        if given is not None:
            at = next(place for place, (_, picture) in enumerate(pictures) if picture is given)
            valid, ab = self._given(given, ab)
            within = shrink(valid.float(), size) > 0.5
            source, error = torch.where(within, at, source), torch.where(within, 0, error)
        shares = torch.bincount(source.flatten(), minlength=len(pictures)) / source.numel()
        return Preview(
            number, gray_of(rgb), to_array(lay_over(luma, ab)),
            [Source(name, share) for (name, _), share in zip(pictures, shares.tolist(), strict=True)],
            source[0, 0].cpu().numpy(), error[0, 0].cpu().numpy(), False, given is not None,
        )  # fmt: skip

    def _given(self, picture: Picture, ab: Tensor) -> tuple[Tensor, Tensor]:
        """Where a still gives the colour of its own frame, (1, 1, H, W), and the colours with it."""
        own = rgb_to_lab(to_tensor(picture.rgb, ab.device))[:, 1:]
        held = np.ones(picture.rgb.shape[:2], bool) if picture.valid is None else picture.valid
        valid = torch.from_numpy(held).to(ab.device)[None, None]
        return valid, torch.where(valid, own, ab)

    def _memory(self, picture: Picture, size: int) -> ReferenceMemory:
        key = (picture.hash, size)
        if key not in self._encoded:
            lab = shrink(rgb_to_lab(to_tensor(picture.rgb, self._colours.device)), size)
            self._encoded[key] = self._colours.system.start(lab[:, None]).references
        self._encoded.move_to_end(key)
        while len(self._encoded) > _ENCODED:
            self._encoded.popitem(last=False)
        return self._encoded[key]

    def _pictures(self, number: int, assignment: Assignment) -> list[tuple[str, Picture]]:
        """What a frame is matched with: the stills around it, and references of its shot; each with its name."""
        nearest = sorted(assignment.keyframes, key=lambda n: abs(n - number))[:_NEAREST]
        stills = [(f"still {n}", assignment.keyframes[n]) for n in sorted(nearest)]
        return [*stills, *((self._colours.name(picture), picture) for picture in assignment.references)]
