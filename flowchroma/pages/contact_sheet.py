"""Frames side by side, and a picture of several such rows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def side_by_side(frames: Sequence[Tensor]) -> np.ndarray:
    """Lay N frames (1, 3, H, W), uint8 RGB, beside each other: (H, N * W, 3)."""
    return torch.cat([frame[0] for frame in frames], dim=2).movedim(0, -1).contiguous().numpy()


def save_contact_sheet(rows: Sequence[np.ndarray], names: Sequence[str], path: Path) -> None:
    """Write rows of `side_by_side` below each other, under a line that names their columns."""
    from PIL import Image, ImageDraw

    pixels = np.concatenate(rows)
    height, width, _ = pixels.shape
    sheet = Image.new("RGB", (width, height + 16), "white")
    sheet.paste(Image.fromarray(pixels), (0, 16))
    for column, name in enumerate(names):
        ImageDraw.Draw(sheet).text((column * width // len(names) + 4, 2), name, fill="black")
    sheet.save(path)
