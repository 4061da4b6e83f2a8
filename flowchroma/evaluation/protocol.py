"""What is scored, and how: the part of a figure that makes it comparable."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.errors import UserError
from flowchroma.evaluation.keyframe_choice import Chooser, GrayFilm, check_keyframes, keyframe_numbers
from flowchroma.film import Film

WARP_ERROR_FLOW = "OpenCV DIS medium on the original's luminance"


@dataclass(frozen=True)
class Protocol:
    """How clips are scored. The default is the one that figures should be published by.

    Args:
        reference: "first", or a number N: every Nth frame from 0 on is given in colour when it comes, starts the film
            anew, and is not scored. None is "first" where there are no keyframes.
        resize: height and width to which the original is brought before anything else; None keeps the file's own size.
        frames: how many frames of each clip count, from the first; None for all.
        size: short side in pixels at which methods compute colour; see `Painter`.
        keyframes: in place of a reference, frames that are given in colour before the clip begins, and are not scored;
            see `check_keyframes`.
        directions: "both": systems colour a frame from the keyframes on both sides of it; or "forward".
        choose: chooses the frames of "plan:N"; of a film in gray, so many.

    Raises:
        UserError: one of them makes no sense.
    """

    reference: str | int | None = None
    resize: tuple[int, int] | None = None
    frames: int | None = None
    size: int = 240
    keyframes: str | int | Sequence[str | int] | None = None
    directions: str = "both"
    choose: Chooser | None = field(default=None, compare=False)
    _planned: dict[tuple[Any, ...], list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._check_given()
        if self.resize is not None and not (len(self.resize) == 2 and all(_whole(s, 16) for s in self.resize)):
            raise UserError(f"resize must be [height,width], each 16 or more, not {self.resize}", code=2)
        if self.frames is not None and not _whole(self.frames, 2):
            raise UserError(f"frames must be 2 or more, not {self.frames}: the first is the reference", code=2)
        if not _whole(self.size, 16):
            raise UserError(f"size must be a whole number of pixels from 16 on, not {self.size}", code=2)

    def length(self, frames: int) -> int:
        """How many frames count of a clip that has `frames`."""
        return frames if self.frames is None else min(frames, self.frames)

    def given(self, film: Film) -> list[int]:
        """The numbers of a clip's frames that are given in colour, rising.

        Raises:
            UserError: the clip has no frame of a keyframe's number.
        """
        length = self.length(len(film))
        if self.keyframes is None:
            every = self.reference or "first"
            return [0] if every == "first" else list(range(0, length, int(every)))
        key = (film.name, film.path, film.size, length)
        if key not in self._planned:  # choosing reads the whole clip
            parts = check_keyframes(self.keyframes)
            self._planned[key] = keyframe_numbers(parts, GrayFilm(film, length), self.choose)
        return self._planned[key]

    def scored(self, film: Film) -> list[int]:
        """The numbers of a clip's frames that are scored."""
        given = set(self.given(film))
        return [frame for frame in range(self.length(len(film))) if frame not in given]

    def originals(self, frames: Iterable[np.ndarray], device: torch.device) -> Iterator[Tensor]:
        """The frames that count, (1, 3, H, W) uint8 RGB on `device`, from (h, w, 3) arrays."""
        for index, rgb in enumerate(frames):
            if index == self.frames:
                return
            yield self.prepare(rgb, device)

    def prepare(self, rgb: np.ndarray, device: torch.device) -> Tensor:
        """One frame as `originals` gives it."""
        frame = torch.from_numpy(np.ascontiguousarray(rgb)).to(device).permute(2, 0, 1)[None].contiguous()
        if self.resize is None:
            return frame
        small = F.interpolate(frame.float(), tuple(self.resize), mode="bilinear", antialias=True)
        return small.round().clamp(0, 255).to(torch.uint8)

    def identity(self) -> dict[str, Any]:
        """What figures depend on, for the store of scores."""
        facts = {"resize": self.resize and [*self.resize], "frames": self.frames, "size": self.size}
        if self.keyframes is None:
            return {"reference": self.reference or "first", **facts}
        return {
            "reference": "keyframes",
            **facts,
            "keyframes": [*check_keyframes(self.keyframes)],
            "directions": self.directions,
        }

    def describe(self) -> dict[str, Any]:
        """What a report says of it, in words."""
        return {
            **self._describe_given(),
            "size": "the file's own size" if self.resize is None else "{} x {} (h x w)".format(*self.resize),
            "frames of a clip": "all" if self.frames is None else f"the first {self.frames}",
            "scored on": "8-bit RGB as written; mean over frames, then over clips",
            "colour computed at": f"short side {self.size}",
            "PSNR ab": "peak 220 CIELAB units",
            "warp error's flow": WARP_ERROR_FLOW,
        }

    def _describe_given(self) -> dict[str, str]:
        if self.keyframes is None:
            every = self.reference or "first"
            words = "first frame" if every == "first" else f"one frame in {every}"
            return {"reference": f"{words}, never scored"}
        both = "systems colour a frame from the keyframes on both sides of it, all other methods forward"
        return {
            "keyframes": f"{', '.join(map(str, check_keyframes(self.keyframes)))}; given from the start, never scored",
            "directions": both if self.directions == "both" else "forward",
        }

    def _check_given(self) -> None:
        every = self.reference
        if every not in (None, "first") and not _whole(every, 2):
            raise UserError(f"reference must be first, or a number N > 1 for every Nth frame, not {every}", code=2)
        if self.directions not in ("both", "forward"):
            raise UserError(f"directions must be both or forward, not {self.directions}", code=2)
        if self.keyframes is None:
            if self.directions != "both":
                raise UserError("directions=forward says how to colour from keyframes: give keyframes= too", code=2)
            return
        check_keyframes(self.keyframes)
        if every is not None:
            raise UserError("reference= and keyframes= are two protocols: give one of them", code=2)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
