"""OpenCV's dense inverse search flow (Kroeger et al. 2016) on luminance."""

import threading
from typing import Any

import torch
from torch import Tensor

from flowchroma.errors import UserError
from flowchroma.ops.padding import pad_to_multiple

# Below these sides OpenCV changes the settings of its own object, fails, or ends the process.
_SMALLEST = {"ultrafast": 96, "fast": 96, "medium": 48}
_made = threading.local()  # one object a thread and preset: making one costs little, its buffers cost more


def dis_flow(luma: Tensor, previous: Tensor, preset: str = "medium") -> Tensor:
    """Flow from one frame to another by dense inverse search.

    Args:
        luma: (1, 1, H, W), L in [0, 100]; the flow lives on its grid. Small frames are padded by repeating the border.
        previous: the same, the frame that the flow points into.
        preset: "ultrafast", "fast" or "medium".

    Returns:
        (1, 2, H, W), pixels, (x, y), float32, on the device of `luma`.

    Raises:
        UserError: an unknown preset.
        ValueError: more than one frame, or frames of different sizes.
    """
    if preset not in _SMALLEST:
        raise UserError(f"DIS flow has no preset {preset!r}: use one of {', '.join(_SMALLEST)}")
    if luma.shape != previous.shape or luma.shape[:2] != (1, 1):
        raise ValueError(f"expected two frames (1, 1, H, W), got {tuple(luma.shape)} and {tuple(previous.shape)}")
    start, padding = pad_to_multiple(luma, 1, at_least=_SMALLEST[preset])
    end, _ = pad_to_multiple(previous, 1, at_least=_SMALLEST[preset])
    flow = _solver(preset).calc(_eight_bit(start), _eight_bit(end), None)
    return padding.crop(torch.from_numpy(flow).to(luma.device).permute(2, 0, 1)[None]).contiguous()


def _eight_bit(luma: Tensor) -> Any:
    return (luma[0, 0] * 2.55).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def _solver(preset: str) -> Any:
    if not hasattr(_made, preset):
        import cv2

        kind = getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset.upper()}")
        setattr(_made, preset, cv2.DISOpticalFlow.create(kind))
    return getattr(_made, preset)
