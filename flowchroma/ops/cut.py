"""Hard cuts between two frames, from luminance alone."""

import torch
from torch import Tensor
from torch.nn import functional as F

from flowchroma.ops.window import window_mean

_GRID = (18, 32)  # of the thumbnails, whatever the frame's size
_REACH = (3, 5)  # how far the scene may move, in thumbnail pixels: a sixth of the frame
_CONTRAST_FLOOR = 1.0  # in units of L: weaker structure is noise
_FLAT = 0.25  # contrast of a normalised thumbnail in which there is nothing to recognise
# Splices of the six Videvo films reach 0.37, frames of one shot fall to 0.70 at a step of two and 0.52 at one of five.
_ALIKE = 0.45


@torch.no_grad()
def is_cut(luma: Tensor, previous: Tensor) -> Tensor:
    """Whether another scene begins.

    Thumbnails are normalised by their local mean and contrast, so that fades and flashes, also of a part of the frame,
    change little. Their correlation, at the best of a few shifts, decides whether they show the same scene. Scenes that
    appear out of a flat frame, such as black, begin anew; a flat frame itself does not.

    Args:
        luma: (B, 1, H, W), L in [0, 100], of frame t.
        previous: the same, of frame t - 1.

    Returns:
        (B,), bool.
    """
    now, before = _thumbnail(luma), _thumbnail(previous)
    flat_now, flat_before = (x.square().mean(dim=(1, 2, 3)).sqrt() < _FLAT for x in (now, before))
    return ~flat_now & (flat_before | (_best_correlation(now, before) < _ALIKE))


def _thumbnail(luma: Tensor) -> Tensor:
    luma = luma if luma.dtype == torch.float64 else luma.float()
    small = F.interpolate(luma, size=_GRID, mode="bilinear", antialias=True)
    centred = small - window_mean(small, 2)
    return centred / (window_mean(centred.square(), 2).clamp(min=0).sqrt() + _CONTRAST_FLOOR)


def _best_correlation(now: Tensor, before: Tensor) -> Tensor:
    """Largest correlation of two thumbnails over all shifts within reach, each over what both show: (B,)."""
    rows, columns = _REACH

    def shifted(image: Tensor) -> Tensor:
        return F.unfold(F.pad(image, (columns, columns, rows, rows)), _GRID)

    mask = shifted(torch.ones_like(before[:1]))
    mask = mask / mask.sum(dim=1, keepdim=True)
    fixed, moved = now.flatten(1)[:, :, None], shifted(before)
    mean, moved_mean = (mask * fixed).sum(1), (mask * moved).sum(1)
    covariance = (mask * fixed * moved).sum(1) - mean * moved_mean
    variance = (mask * fixed.square()).sum(1) - mean.square()
    moved_variance = (mask * moved.square()).sum(1) - moved_mean.square()
    return (covariance / (variance * moved_variance).clamp(min=1e-6).sqrt()).amax(1)
