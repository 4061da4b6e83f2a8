"""sRGB and CIELAB, and how networks scale them: the only room that knows colour units.

RGB is sRGB in [0, 1]. L is in [0, 100]; a and b are in CIELAB units, about [-110, 110]. Constants are those of
IEC 61966-2-1 with the D65 white of the 2 degree observer, as in scikit-image.
"""

import torch
from torch import Tensor

_XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_DELTA = 0.008856  # below it, CIELAB's cube root is replaced by a line
# Of linear RGB: rounding of the constants above shifts white by less, and 8 bits show neither.
_BELOW, _ABOVE = 1e-5, 1e-4
_BISECTIONS = 10


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB to CIELAB.

    Args:
        rgb: (..., 3, H, W), sRGB in [0, 1], or uint8 in [0, 255].

    Returns:
        (..., 3, H, W): L in [0, 100], a and b in CIELAB units. Float32 (float64 for float64 input), also under
        autocast: bfloat16 would be off by 3 units.
    """
    with torch.autocast(rgb.device.type, enabled=False):
        if rgb.dtype == torch.uint8:  # 256 powers and a table in place of one power a value
            table = _linear(torch.arange(256, device=rgb.device) / 255)
            linear = table.index_select(0, rgb.flatten().int()).view(rgb.shape)
        else:
            linear = _linear(_at_least_float32(rgb))
        xyz = _mix(linear, torch.tensor(_XYZ_FROM_RGB, dtype=torch.float64))
        xyz = xyz / xyz.new_tensor(_WHITE).view(3, 1, 1)
        f = torch.where(xyz > _DELTA, xyz.clamp(min=_DELTA) ** (1 / 3), 7.787 * xyz + 16 / 116)
        x, y, z = f.unbind(-3)
        return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert CIELAB to sRGB; each channel outside [0, 1] is clipped, which changes L: see `into_gamut`.

    Args:
        lab: (..., 3, H, W): L in [0, 100], a and b in CIELAB units.

    Returns:
        (..., 3, H, W), sRGB in [0, 1]. Float32 (float64 for float64 input), also under autocast. Differentiable
        inside the gamut.
    """
    with torch.autocast(lab.device.type, enabled=False):
        linear = _linear_from_lab(*_at_least_float32(lab).unbind(-3))
        rgb = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear)
        return rgb.clamp(0, 1)


@torch.no_grad()
def into_gamut(lab: Tensor) -> Tensor:
    """Reduce chroma, at constant L and hue, by as much as sRGB cannot show: none is left at L = 0 and L = 100.

    The largest share of ab that keeps linear RGB within [0, 1] is found by bisection, to 1 / 1024, where it is below 1.

    Args:
        lab: (..., 3, H, W): L in [0, 100], a and b in CIELAB units.

    Returns:
        (..., 3, H, W), float32 (float64 for float64 input). Colours that sRGB has are returned as they are.
    """
    with torch.autocast(lab.device.type, enabled=False):
        lab = _at_least_float32(lab)
        luma, a, b = lab.unbind(-3)
        outside = ~_is_in_gamut(luma, a, b)
        if not outside.any():
            return lab
        luma, a, b = (values[outside][None] for values in (luma, a, b))  # one row of pixels
        share, step = torch.zeros_like(luma), 0.5
        for _ in range(_BISECTIONS):
            larger = share + step
            share = torch.where(_is_in_gamut(luma, larger * a, larger * b), larger, share)
            step /= 2
        scale = torch.ones_like(lab.select(-3, 0)).masked_scatter_(outside, share)
        return torch.stack((lab.select(-3, 0), lab.select(-3, 1) * scale, lab.select(-3, 2) * scale), dim=-3)


def lab_to_rgb8(lab: Tensor) -> Tensor:
    """Convert CIELAB to 8-bit sRGB, rounded to nearest: (..., 3, H, W) to uint8 of the same shape.

    Colours that sRGB lacks lose chroma first (`into_gamut`), so that L of the result is that of `lab` to within 0.3.
    """
    return (lab_to_rgb(into_gamut(lab)) * 255).round().to(torch.uint8)


def scale_luma(luma: Tensor) -> Tensor:
    """Map L in [0, 100] to [-1, 1], the range networks work in."""
    return luma / 50 - 1


def scale_ab(ab: Tensor) -> Tensor:
    """Map ab in CIELAB units to about [-1, 1]."""
    return ab / 110


def unscale_ab(ab: Tensor) -> Tensor:
    """Undo `scale_ab`."""
    return ab * 110


def _linear(rgb: Tensor) -> Tensor:
    return torch.where(rgb > 0.04045, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)


def _linear_from_lab(luma: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Linear RGB, not clipped: (..., H, W) each to (..., 3, H, W)."""
    y = (luma + 16) / 116
    f = torch.stack((y + a / 500, y, (y - b / 200).clamp(min=0)), dim=-3)
    xyz = torch.where(f > 0.2068966, f.clamp(min=0.2068966) ** 3, (f - 16 / 116) / 7.787)
    xyz = xyz * xyz.new_tensor(_WHITE).view(3, 1, 1)
    return _mix(xyz, torch.linalg.inv(torch.tensor(_XYZ_FROM_RGB, dtype=torch.float64)))


def _is_in_gamut(luma: Tensor, a: Tensor, b: Tensor) -> Tensor:
    linear = _linear_from_lab(luma, a, b)
    return (linear.amin(-3) >= -_BELOW) & (linear.amax(-3) <= 1 + _ABOVE)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _mix(channels: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix.to(channels), channels)
