"""Linear changes of colour: a turn of the hue, a change of saturation, a change of brightness."""

import math

import numpy as np
import torch
from torch import Tensor

# NTSC luminance and its two chrominance axes: a turn in the chrominance plane turns the hue.
_YIQ_FROM_RGB = np.array(((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)))
_RGB_FROM_YIQ = np.linalg.inv(_YIQ_FROM_RGB)


def colour_matrix(hue: float = 0.0, saturation: float = 1.0, gain: float = 1.0) -> Tensor:
    """Make the matrix that recolours RGB.

    Args:
        hue: turn of the hue in radians.
        saturation: factor on chrominance; 0 gives gray, 1 no change.
        gain: factor on RGB.

    Returns:
        (3, 3), float32, to be given to `recolour`.
    """
    cos, sin = saturation * math.cos(hue), saturation * math.sin(hue)
    turn = np.array(((1, 0, 0), (0, cos, -sin), (0, sin, cos)))
    return torch.from_numpy((gain * _RGB_FROM_YIQ @ turn @ _YIQ_FROM_RGB).astype(np.float32))


def recolour(rgb: Tensor, matrix: Tensor) -> Tensor:
    """Mix the channels of (..., 3, H, W) RGB in [0, 1] by a (..., 3, 3) matrix, clipped to [0, 1]."""
    return (matrix @ rgb.flatten(-2)).view(rgb.shape).clamp_(0, 1)
