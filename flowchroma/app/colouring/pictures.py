"""The coloured pictures that the options name."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from flowchroma.app.options import named_references
from flowchroma.errors import UserError
from flowchroma.film import OpenedFilm, read_reference
from flowchroma.plans import read_keyframes


@dataclass(frozen=True)
class Pictures:
    """What a film takes its colours from; each (h, w, 3) uint8 RGB."""

    references: Sequence[np.ndarray]  # of something else, of any size
    keyframes: Mapping[int, np.ndarray]  # of the film's frames, by number

    @property
    def identity(self) -> str:
        """A hash that other pictures do not have."""
        return picture_hash([*self.references, *self.keyframes.values()], sorted(self.keyframes))


def read_pictures(config: DictConfig, film: OpenedFilm) -> Pictures:
    """Read references and keyframes.

    Raises:
        UserError: there are none, or one of them cannot be used.
    """
    references: list[np.ndarray] = []
    keyframes: dict[int, np.ndarray] = {}
    if config.keyframes:
        found = read_keyframes(str(config.keyframes), film)
        keyframes = {keyframe.frame: keyframe.rgb for keyframe in found.fitting}
        references = [keyframe.rgb for keyframe in found.references]
    if config.reference is not None or not config.keyframes:
        for name in named_references(str(config.reference or "first")):
            rgb, frame = read_reference(name, film)
            if frame is None:
                references.append(rgb)
            elif frame in keyframes:
                raise UserError(f"frame {frame} is given by reference={name} and by a keyframe: leave one of them out")
            else:
                keyframes[frame] = rgb
    return Pictures(references, keyframes)


def picture_hash(pictures: Sequence[np.ndarray], told: object = "") -> str:
    """A hash of pictures and of what is told of them, of letters and digits."""
    digest = hashlib.sha256(repr(told).encode())
    for rgb in pictures:
        digest.update(str(rgb.shape).encode())
        digest.update(rgb.tobytes())
    return digest.hexdigest()[:16]
