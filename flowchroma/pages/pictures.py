"""Tensors as pictures that people can read."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from flowchroma.color import rgb_to_lab
from flowchroma.metrics import ciede2000_map

_MAX_ERROR = 20.0
_LINE, _GAP = 16, 4  # pixels


def error_heatmap(error: Tensor) -> Tensor:
    """CIEDE2000 (1, 1, H, W) as colours (1, 3, H, W) in [0, 255]: black for 0, bright for 20 and above."""
    import cv2

    level = (error[0, 0] / _MAX_ERROR * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return torch.from_numpy(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)).flip(-1).permute(2, 0, 1)[None]


def ciede2000_heatmap(rgb: Tensor, truth: Tensor) -> Tensor:
    """The CIEDE2000 of two pictures, (3, H, W) in [0, 1], as colours: (3, H, W) in [0, 1]."""
    error = ciede2000_map(rgb_to_lab(rgb[None]), rgb_to_lab(truth[None]))
    return error_heatmap(error)[0].float() / 255


def flow_colours(flow: Tensor) -> Tensor:
    """Flow (2, H, W) in pixels as colours: hue is direction, strength is length against the longest; (3, H, W)."""
    from torchvision.utils import flow_to_image

    return flow_to_image(flow.float()).float() / 255


def gray(values: Tensor) -> Tensor:
    """Values (1, H, W) in [0, 1] from black to white: (3, H, W)."""
    return values.float().clamp(0, 1).expand(3, -1, -1)


def to_image(rgb: Tensor) -> Any:
    """A PIL image of (3, H, W) in [0, 1]."""
    from PIL import Image

    pixels = (rgb.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def sheet(rows: Sequence[tuple[str, Mapping[str, Tensor]]], width: int = 192) -> Any:
    """A PIL image with a row for each entry, titled, and a column for each picture, named on top.

    Args:
        rows: a title and pictures (3, H, W) in [0, 1] by name, the same names and sizes in each.
        width: of each picture on the sheet, in pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    names = list(rows[0][1])
    _, tall, wide = rows[0][1][names[0]].shape
    size = (width, round(tall * width / wide))
    step = (width + _GAP, size[1] + _LINE + _GAP)
    drawn = Image.new("RGB", (len(names) * step[0] - _GAP, len(rows) * step[1] + _LINE), "white")
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(12)
    for column, name in enumerate(names):
        pen.text((column * step[0], 0), name, fill="black", font=font)
    for row, (title, pictures) in enumerate(rows):
        top = _LINE + row * step[1]
        pen.text((0, top), title, fill="dimgray", font=font)
        for column, name in enumerate(names):
            drawn.paste(to_image(pictures[name]).resize(size), (column * step[0], top + _LINE))
    return drawn
