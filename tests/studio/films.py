"""Gray films of two shots whose true colours are known."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from flowchroma.data import SampleFilm
from flowchroma.plans.plan_file import gray_of

LENGTH = 24  # frames of a shot
_RATE, _SOUND = 25, 44100


@dataclass(frozen=True)
class MadeFilm:
    """A gray film on disk."""

    path: Path
    size: tuple[int, int]

    def truth(self, number: int) -> np.ndarray:
        """A frame in its own colours, (H, W, 3) uint8 RGB."""
        shot, at = divmod(number, LENGTH)
        return SampleFilm(1001 + shot, LENGTH, self.size, "val", noise=0.0, light=0.0).read([at])[0]

    def coloured(self, number: int, path: Path) -> Path:
        """A frame as somebody has coloured it, as a picture."""
        cv2.imwrite(str(path), cv2.cvtColor(self.truth(number), cv2.COLOR_RGB2BGR))
        return path


def made_film(path: Path, size: tuple[int, int] = (64, 96)) -> MadeFilm:
    """Two shots of made films, 48 frames in gray, with a tone."""
    film = MadeFilm(path, size)
    with av.open(str(path), "w") as output:
        picture = output.add_stream("libx264", rate=_RATE, options={"crf": "10"})
        picture.width, picture.height, picture.pix_fmt = size[1], size[0], "yuv420p"
        sound = output.add_stream("aac", rate=_SOUND)
        for number in range(2 * LENGTH):
            frame = av.VideoFrame.from_ndarray(gray_of(film.truth(number)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        samples = 2 * LENGTH * _SOUND // _RATE
        tone = (np.sin(np.arange(samples) * 2 * np.pi * 440 / _SOUND) * 8000).astype(np.int16)
        for start in range(0, samples, 1024):
            part = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="s16", layout="mono")
            part.rate, part.pts, part.time_base = _SOUND, start, Fraction(1, _SOUND)
            output.mux(sound.encode(part))
        output.mux(sound.encode(None))
    return film
