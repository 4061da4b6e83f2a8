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
_BAND = 2**15  # pixels that are converted at a time: what is between stays in a CPU's caches


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB to CIELAB.

    Args:
        rgb: (..., 3, H, W), sRGB in [0, 1], or uint8 in [0, 255].

    Returns:
        (..., 3, H, W): L in [0, 100], a and b in CIELAB units. Float32 (float64 for float64 input), also under
        autocast: bfloat16 would be off by 3 units.
    """
    with torch.autocast(rgb.device.type, enabled=False):
        xyz = _mix(_linear_from_rgb(rgb), torch.tensor(_XYZ_FROM_RGB, dtype=torch.float64))
        xyz = xyz / xyz.new_tensor(_WHITE).view(3, 1, 1)
        x, y, z = _cube_root(xyz).unbind(-3)
        return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


@torch.no_grad()
def rgb_to_luma(rgb: Tensor) -> Tensor:
    """L of `rgb_to_lab` alone, in a third of the time: (..., 3, H, W) to (..., 1, H, W). Without gradient."""
    with torch.autocast(rgb.device.type, enabled=False):
        bands = []
        for band in _bands(rgb):
            # All three are mixed: a product of another shape would round otherwise.
            xyz = _mix(_linear_from_rgb(band), torch.tensor(_XYZ_FROM_RGB, dtype=torch.float64))
            bands.append(116 * _cube_root(xyz.narrow(-3, 1, 1)) - 16)
        return torch.cat(bands, dim=-2)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert CIELAB to sRGB; each channel outside [0, 1] is clipped, which changes L: see `into_gamut`.

    Args:
        lab: (..., 3, H, W): L in [0, 100], a and b in CIELAB units.

    Returns:
        (..., 3, H, W), sRGB in [0, 1]. Float32 (float64 for float64 input), also under autocast. Differentiable
        inside the gamut.
    """
    with torch.autocast(lab.device.type, enabled=False):
        return _encoded(_linear_from_lab(*_at_least_float32(lab).unbind(-3))).clamp(0, 1)


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
        outside = ~_is_within(_linear_from_lab(luma, a, b))
        if not outside.any():
            return lab
        luma, a, b = (values[outside][None] for values in (luma, a, b))  # one row of pixels
        share = _share_in_gamut(luma, a, b)
        scale = torch.ones_like(lab.select(-3, 0)).masked_scatter_(outside, share)
        return torch.stack((lab.select(-3, 0), lab.select(-3, 1) * scale, lab.select(-3, 2) * scale), dim=-3)


def lab_to_rgb8(lab: Tensor) -> Tensor:
    """Convert CIELAB to 8-bit sRGB, rounded to nearest: (..., 3, H, W) to uint8 of the same shape.

    Colours that sRGB lacks lose chroma first (`into_gamut`), so that L of the result is that of `lab` to within 0.3.
    """
    return _rounded(lab, torch.uint8, 255)


def scale_luma(luma: Tensor) -> Tensor:
    """Map L in [0, 100] to [-1, 1], the range networks work in."""
    return luma / 50 - 1


def scale_ab(ab: Tensor) -> Tensor:
    """Map ab in CIELAB units to about [-1, 1]."""
    return ab / 110


def unscale_ab(ab: Tensor) -> Tensor:
    """Undo `scale_ab`."""
    return ab * 110


def chroma_distance(ab: Tensor, other: Tensor) -> Tensor:
    """Distance of two ab, (B, 2, H, W) each: (B, 1, H, W), CIELAB units.

    A sixtieth of the time of a norm over two channels. Its gradient is 0 where both are the same.
    """
    return (ab - other).square().sum(dim=1, keepdim=True).clamp(min=1e-12).sqrt()


def lab_to_rgb16(lab: Tensor) -> Tensor:
    """Convert CIELAB to 16-bit sRGB, rounded to nearest: (..., 3, H, W) to int32 of the same shape, in [0, 65535]."""
    return _rounded(lab, torch.int32, 65535)


@torch.no_grad()
def _rounded(lab: Tensor, dtype: torch.dtype, most: int) -> Tensor:
    """`lab_to_rgb(into_gamut(lab))` in whole numbers up to `most`; a pixel's channels are together in memory."""
    height, width = lab.shape[-2:]
    rgb = lab.new_empty(*lab.shape[:-3], height, width, 3, dtype=dtype).movedim(-1, -3)
    with torch.autocast(lab.device.type, enabled=False):
        start = 0
        for band in _bands(lab):
            band = _at_least_float32(band)
            linear = _linear_from_lab(*band.unbind(-3))
            outside = ~_is_within(linear)
            if outside.any():
                luma, a, b = (values[outside][None] for values in band.unbind(-3))
                share = _share_in_gamut(luma, a, b)
                linear.movedim(-3, 0)[:, outside] = _linear_from_lab(luma, share * a, share * b).squeeze(-2)
            made = _encoded(linear).clamp_(0, 1).mul_(most).round_()
            rgb[..., start : start + band.shape[-2], :] = made
            start += band.shape[-2]
    return rgb


def _bands(image: Tensor) -> tuple[Tensor, ...]:
    """Rows of (..., H, W), some at a time, for a CPU; all for others, which work fastest on much."""
    if image.device.type != "cpu":
        return (image,)
    return image.split(max(1, _BAND // max(1, image.shape[-1])), dim=-2)


def _linear_from_rgb(rgb: Tensor) -> Tensor:
    if rgb.dtype != torch.uint8:
        return _linear(_at_least_float32(rgb))
    # 256 powers and a table in place of one power a value.
    table = _linear(torch.arange(256, device=rgb.device) / 255)
    return table.index_select(0, rgb.flatten().int()).view(rgb.shape)


def _cube_root(xyz: Tensor) -> Tensor:
    """CIELAB's: a line near 0."""
    return torch.where(xyz > _DELTA, xyz.clamp(min=_DELTA) ** (1 / 3), 7.787 * xyz + 16 / 116)


def _encoded(linear: Tensor) -> Tensor:
    """Linear RGB with sRGB's curve."""
    return torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear)


def _linear(rgb: Tensor) -> Tensor:
    return torch.where(rgb > 0.04045, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)


def _linear_from_lab(luma: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Linear RGB, not clipped: (..., H, W) each to (..., 3, H, W)."""
    y = (luma + 16) / 116
    f = torch.stack((y + a / 500, y, (y - b / 200).clamp(min=0)), dim=-3)
    xyz = torch.where(f > 0.2068966, f.clamp(min=0.2068966) ** 3, (f - 16 / 116) / 7.787)
    xyz = xyz * xyz.new_tensor(_WHITE).view(3, 1, 1)
    return _mix(xyz, torch.linalg.inv(torch.tensor(_XYZ_FROM_RGB, dtype=torch.float64)))


def _share_in_gamut(luma: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The largest share of a and b that sRGB can show, in steps of 1 / 1024; each (1, N)."""
    share, step = torch.zeros_like(luma), 0.5
    for _ in range(_BISECTIONS):
        larger = share + step
        share = torch.where(_is_within(_linear_from_lab(luma, larger * a, larger * b)), larger, share)
        step /= 2
    return share


def _is_within(linear: Tensor) -> Tensor:
    return (linear.amin(-3) >= -_BELOW) & (linear.amax(-3) <= 1 + _ABOVE)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _mix(channels: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("ij,...jhw->...ihw", matrix.to(channels), channels)
