"""What is scored, and how: the part of a figure that makes it comparable."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flowchroma.errors import UserError

WARP_ERROR_FLOW = "OpenCV DIS medium on the original's luminance"


@dataclass(frozen=True)
class Protocol:
    """How clips are scored. The default is the one that figures should be published by.

    Args:
        reference: "first", or a number N: every Nth frame from 0 on is given in colour, and is not scored.
        resize: height and width to which the original is brought before anything else; None keeps the file's own size.
        frames: how many frames of each clip count, from the first; None for all.
        size: short side in pixels at which methods compute colour; see `Painter`.

    Raises:
        UserError: one of them makes no sense.
    """

    reference: str | int = "first"
    resize: tuple[int, int] | None = None
    frames: int | None = None
    size: int = 240

    def __post_init__(self) -> None:
        every = self.reference
        if every != "first" and not (isinstance(every, int) and every > 1):
            raise UserError(f"reference must be first, or a number N > 1 for every Nth frame, not {every}", code=2)
        if self.resize is not None and not (len(self.resize) == 2 and all(_whole(s, 16) for s in self.resize)):
            raise UserError(f"resize must be [height,width], each 16 or more, not {self.resize}", code=2)
        if self.frames is not None and not _whole(self.frames, 2):
            raise UserError(f"frames must be 2 or more, not {self.frames}: the first is the reference", code=2)
        if not _whole(self.size, 16):
            raise UserError(f"size must be a whole number of pixels from 16 on, not {self.size}", code=2)

    def is_reference(self, frame: int) -> bool:
        """Whether the frame of that number is given in colour."""
        return frame == 0 if self.reference == "first" else frame % int(self.reference) == 0

    def length(self, frames: int) -> int:
        """How many frames count of a clip that has `frames`."""
        return frames if self.frames is None else min(frames, self.frames)

    def scored(self, frames: int) -> list[int]:
        """The numbers of the frames that are scored, of a clip that has `frames`."""
        return [frame for frame in range(self.length(frames)) if not self.is_reference(frame)]

    def originals(self, frames: Iterable[np.ndarray], device: torch.device) -> Iterator[Tensor]:
        """The frames that count, (1, 3, H, W) uint8 RGB on `device`, from (h, w, 3) arrays."""
        for index, rgb in enumerate(frames):
            if index == self.frames:
                return
            frame = torch.from_numpy(np.ascontiguousarray(rgb)).to(device).permute(2, 0, 1)[None].contiguous()
            if self.resize is not None:
                small = F.interpolate(frame.float(), tuple(self.resize), mode="bilinear", antialias=True)
                frame = small.round().clamp(0, 255).to(torch.uint8)
            yield frame

    def describe(self) -> dict[str, Any]:
        """What a report says of it, in words."""
        every = self.reference
        return {
            "reference": "first frame, never scored" if every == "first" else f"one frame in {every}, never scored",
            "size": "the file's own size" if self.resize is None else "{} x {} (h x w)".format(*self.resize),
            "frames of a clip": "all" if self.frames is None else f"the first {self.frames}",
            "scored on": "8-bit RGB as written; mean over frames, then over clips",
            "colour computed at": f"short side {self.size}",
            "PSNR ab": "peak 220 CIELAB units",
            "warp error's flow": WARP_ERROR_FLOW,
        }


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
