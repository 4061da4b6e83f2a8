"""Linear changes of colour: a turn of the hue, a change of saturation, a change of brightness."""

import math

import numpy as np
import torch
from torch import Tensor

# NTSC luminance and its two chrominance axes: a turn in the chrominance plane turns the hue.
_YIQ_FROM_RGB = np.array(((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)))
_RGB_FROM_YIQ = np.linalg.inv(_YIQ_FROM_RGB)
_GRAY = np.outer(_RGB_FROM_YIQ[:, 0], _YIQ_FROM_RGB[0])
_COLOUR = _RGB_FROM_YIQ[:, 1:] @ _YIQ_FROM_RGB[1:]
_TURNED = np.outer(_RGB_FROM_YIQ[:, 2], _YIQ_FROM_RGB[1]) - np.outer(_RGB_FROM_YIQ[:, 1], _YIQ_FROM_RGB[2])


def colour_matrix(hue: float = 0.0, saturation: float = 1.0, gain: float = 1.0) -> Tensor:
    """Make the matrix, (3, 3), float32, that `recolour` takes.

    The hue turns by radians; saturation is a factor on chrominance, 0 giving gray, and gain one on RGB.
    """
    cos, sin = saturation * math.cos(hue), saturation * math.sin(hue)
    return torch.from_numpy((gain * (_GRAY + cos * _COLOUR + sin * _TURNED)).astype(np.float32))


def recolour(rgb: Tensor, matrix: Tensor) -> Tensor:
    """Mix the channels of (..., 3, H, W) RGB in [0, 1] by a (..., 3, 3) matrix, clipped to [0, 1]."""
    return (matrix @ rgb.flatten(-2)).view(rgb.shape).clamp_(0, 1)
