"""From what a decoder gives to what a screen shows."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from flowchroma.film.crop import NONE, Crop, crop_of

_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 720  # from here on, players take untagged film to be BT.709; below it, BT.601


@dataclass(frozen=True)
class Look:
    """How a film's frames are shown, as its first says."""

    size: tuple[int, int]  # (H, W), cropped and upright
    pixel_aspect: Fraction  # width by height of a pixel, upright
    crop: Crop  # before turning


def look_of(stream: av.VideoStream, first: av.VideoFrame) -> Look:
    """How the frames of a stream are shown."""
    crop = crop_of(stream)
    top, bottom, left, right = crop
    height, width = first.height - top - bottom, first.width - left - right
    if height < 1 or width < 1:
        crop, height, width = NONE, first.height, first.width
    turned = _quarter_turns(first) % 2 == 1
    pixel = stream.sample_aspect_ratio or Fraction(1)
    return Look(
        (width, height) if turned else (height, width), 1 / pixel if turned and pixel else pixel, crop
    )  # fmt: skip


class Pixels:
    """Turns frames of a film into RGB as displayed."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._reformatter = VideoReformatter()

    def rgb(self, frame: av.VideoFrame) -> np.ndarray:
        """(H, W, 3) uint8 RGB: by the frame's own matrix and range, cropped, upright."""
        guess = None
        if frame.colorspace == _UNTAGGED and not frame.format.is_rgb:
            guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
        # Threads would multiply with those of data workers; one converts 1080p in 5 ms.
        rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=guess, threads=1).to_ndarray()
        top, bottom, left, right = self._look.crop
        rgb = rgb[top : rgb.shape[0] - bottom, left : rgb.shape[1] - right]
        return np.ascontiguousarray(np.rot90(rgb, _quarter_turns(frame)))


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Quarter turns counterclockwise that set a frame upright."""
    return round(frame.rotation / 90) % 4
