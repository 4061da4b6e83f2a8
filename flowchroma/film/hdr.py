"""HDR and wide colour on an ordinary screen: BT.709, display gamma 2.4, white at 203 cd/m2 (ITU-R BT.2408)."""

from functools import cache

import numpy as np

BT2020, P3, P3_D65 = 9, 11, 12  # of AVCOL_PRI
PQ, HLG = 16, 18  # of AVCOL_TRC
_WHITE, _PEAK = 203.0, 1000.0  # cd/m2; of what is mastered brighter, highlights are clipped
_GAMMA = 2.4
_STEPS = 65535
_MOST = 10000 / _WHITE  # light that PQ can say
# Linear light to that of BT.709, white D65 in both.
_MATRICES = {
    BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    P3: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0196, -0.0786, 1.0979)),
}
_MATRICES[P3_D65] = _MATRICES[P3]
_LUMA = np.array((0.2627, 0.6780, 0.0593), np.float32)  # BT.2020


def is_mapped(transfer: int, primaries: int) -> bool:
    """Whether `to_screen` is for a film of these tags."""
    return transfer in (PQ, HLG) or primaries in _MATRICES


def to_screen(rgb: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """Map a frame into what an ordinary screen shows.

    Highlights roll off as in ITU-R BT.2390, section 5.4, by the largest channel, so that hues stay.

    Args:
        rgb: (H, W, 3) uint16, encoded by `transfer`.
        transfer: PQ (SMPTE ST 2084), HLG (ARIB STD-B67), or any other, taken as display gamma 2.4.
        primaries: As tagged.

    Returns:
        (H, W, 3) uint16.
    """
    light = _linear(transfer)[rgb]
    if transfer == HLG:  # BT.2100: from scene to display, system gamma 1.2 at 1000 cd/m2
        light *= (light @ _LUMA)[..., None] ** 0.2 * (_PEAK / _WHITE)
    if transfer in (PQ, HLG):
        largest = np.sqrt(light.max(-1).clip(0, _MOST) / _MOST)  # finer in the dark
        light *= _ratio()[(largest * _STEPS).astype(np.uint16)][..., None]
    if primaries in _MATRICES:
        light = light @ np.array(_MATRICES[primaries], np.float32).T
    steps = (np.sqrt(light.clip(0, 1)) * _STEPS).astype(np.uint16)  # finer in the dark
    return _encoded()[steps]


@cache
def _linear(transfer: int) -> np.ndarray:
    """Light, 1 being white, of each code; for HLG that of the scene, 1 being the brightest."""
    code = np.linspace(0, 1, _STEPS + 1)
    if transfer == PQ:
        light = _from_pq(code) / _WHITE
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    else:
        light = code**_GAMMA
    return light.astype(np.float32)


@cache
def _encoded() -> np.ndarray:
    root = np.linspace(0, 1, _STEPS + 1)
    return (root ** (2 / _GAMMA) * _STEPS).round().astype(np.uint16)


@cache
def _ratio() -> np.ndarray:
    light = np.maximum(np.linspace(0, 1, _STEPS + 1) ** 2 * _MOST, 1e-9)
    return (_rolled_off(light) / light).astype(np.float32)


def _rolled_off(light: np.ndarray) -> np.ndarray:
    peak = _to_pq(np.array(_PEAK))
    code = np.minimum(_to_pq(light * _WHITE) / peak, 1)
    most = float(_to_pq(np.array(_WHITE)) / peak)
    knee = 1.5 * most - 0.5
    t = np.clip((code - knee) / (1 - knee), 0, 1)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return _from_pq(np.where(code < knee, code, curve) * peak) / _WHITE


def _to_pq(light: np.ndarray) -> np.ndarray:
    y = (np.maximum(light, 0) / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def _from_pq(code: np.ndarray) -> np.ndarray:
    e = code ** (32 / 2523)
    return 10000 * (np.maximum(e - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * e)) ** (16384 / 2610)
