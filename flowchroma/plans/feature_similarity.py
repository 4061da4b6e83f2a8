"""How much pictures resemble each other in what they show, by the matcher's own features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from flowchroma.colorizers.painter import shrink
from flowchroma.models.contracts import Matcher

_SIDE = 112  # pixels of the short side
_PLACES = 256  # of a picture, that are compared


@torch.inference_mode()
def describe(matcher: Matcher, lab: Tensor) -> Tensor:
    """Features of places spread over a picture.

    Args:
        matcher: Gives them.
        lab: (1, 3, H, W) CIELAB, of which the luminance is used.

    Returns:
        (P, C), of unit length.
    """
    small = shrink(lab, _SIDE)
    keys = matcher.encode_references(torch.cat([small[:, :1], torch.zeros_like(small[:, 1:])], dim=1)[:, None]).keys[0]
    return keys[torch.linspace(0, len(keys) - 1, min(_PLACES, len(keys)), device=keys.device).long()].float()


def closest(frames: Sequence[Tensor], pictures: Sequence[Tensor], count: int) -> list[int]:
    """The pictures that resemble frames most.

    Args:
        frames: Of a shot, each as `describe` gives it.
        pictures: The same.
        count: Of them that are wanted.

    Returns:
        Their indices, rising. Each frame's places look for the most similar one of a picture; the mean decides.
    """
    if len(pictures) <= count:
        return list(range(len(pictures)))
    places = torch.cat(list(frames))
    scores = [float((places @ picture.T).amax(dim=1).mean()) for picture in pictures]
    return sorted(sorted(range(len(pictures)), key=lambda index: -scores[index])[:count])
