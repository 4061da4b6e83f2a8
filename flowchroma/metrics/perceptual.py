"""Measures by networks that others trained; see `flowchroma.weights` for the networks."""

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def lpips_distance(network: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, target: Tensor) -> Tensor:
    """Learned perceptual distance of each image (Zhang et al. 2018), version 0.1.

    Args:
        network: from `flowchroma.weights.load_lpips`; it sees images in [-1, 1].
        prediction: (B, 3, H, W), RGB, uint8, or floating in [0, 1].
        target: the same.

    Returns:
        (B,), float64, 0 where an image equals its target.

    Raises:
        UserError: the images are smaller than the network can take.
        ValueError: shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    with torch.autocast(prediction.device.type, enabled=False):
        return network(_scaled(prediction), _scaled(target)).flatten().double()


@torch.no_grad()
def inception_features(network: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """What FID compares.

    Args:
        network: from `flowchroma.weights.load_inception`.
        frames: (B, 3, H, W), RGB, uint8, of any size.

    Returns:
        (B, 2048), float64.

    Raises:
        ValueError: the frames are not 8-bit.
    """
    if frames.dtype != torch.uint8:
        raise ValueError(f"FID's network sees 8-bit frames, not {frames.dtype}")
    with torch.autocast(frames.device.type, enabled=False):
        return network(frames).double()


def _scaled(image: Tensor) -> Tensor:
    return (image.float() if image.is_floating_point() else image.float() / 255) * 2 - 1
