"""Small pictures of a few frames of each clip."""

from pathlib import Path

import torch
from torch import Tensor

from flowchroma.color import rgb_to_lab
from flowchroma.colorizers.painter import shrink
from flowchroma.evaluation.clip_metrics import OriginalFrame
from flowchroma.metrics import ciede2000_map
from flowchroma.pages.pictures import error_heatmap

_SIDE = 240  # short side of a picture in pixels


def save_still(
    folder: Path, index: int, scored: list[int], name: str, painted: Tensor, original: OriginalFrame
) -> None:
    """Keep a frame, (1, 3, H, W) uint8, in a clip's folder, if it is the middle one or the last of those scored.

    FRAME_truth.jpg is the original, FRAME_NAME.jpg a method's, FRAME_NAME.error.jpg its errors.
    """
    if index not in (scored[len(scored) // 2], scored[-1]):
        return
    stem = folder / f"{index:05d}"
    _save(shrink(original.rgb.float(), _SIDE), Path(f"{stem}_truth.jpg"))
    _save(shrink(painted.float(), _SIDE), Path(f"{stem}_{name}.jpg"))
    error = ciede2000_map(rgb_to_lab(painted), original.lab)
    _save(error_heatmap(shrink(error, _SIDE)), Path(f"{stem}_{name}.error.jpg"))


def _save(image: Tensor, path: Path) -> None:
    """Write (1, 3, H, W) in [0, 255]."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(path, quality=82)
