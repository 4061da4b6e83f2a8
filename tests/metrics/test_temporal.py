import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from flowchroma.metrics import CdcStream, histograms, jensen_shannon, warp_error


def clip(count: int) -> torch.Tensor:
    """Frames whose colours drift, so that every lag has a figure of its own; most bins are empty."""
    drift = 3 * torch.arange(count).view(-1, 1, 1, 1) ** 2
    return (torch.randint(0, 40, (count, 3, 7, 9)) + drift).clamp(max=255).to(torch.uint8)


def reference(frames: np.ndarray) -> float:
    means = []
    for lag in (1, 2, 4):
        figures = [
            jensenshannon(*(np.histogram(f[c], 256, (0, 256))[0] for f in (frames[i], frames[i + lag]))) ** 2
            for i in range(len(frames) - lag)
            for c in range(3)
        ]
        means += [np.mean(figures)] if figures else []
    return float(np.mean(means))


def test_histograms_are_shares():
    frames = clip(3)
    got = histograms(frames)
    assert got.shape == (3, 3, 256)
    for t in range(3):
        for c in range(3):
            expected = np.histogram(frames[t, c], 256, (0, 256))[0] / 63
            np.testing.assert_allclose(got[t, c].numpy(), expected)
    with pytest.raises(ValueError, match="8-bit"):
        histograms(frames.float())


def streamed(frames):
    stream = CdcStream()
    for histogram in histograms(frames):
        stream.add(histogram)
    return stream


def test_jensen_shannon_equals_scipy():
    p, q = torch.rand(4, 9, dtype=torch.float64), torch.rand(4, 9, dtype=torch.float64)
    p[:, :3] = q[:, 2:5] = 0  # empty bins on either side and on both
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    np.testing.assert_allclose(jensen_shannon(p, q).numpy(), jensenshannon(p, q, axis=-1) ** 2, atol=1e-12)
    apart = torch.eye(2)
    assert jensen_shannon(apart[0], apart[1]).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("count", [2, 3, 4, 5, 12])
def test_cdc_equals_scipy(count):
    frames = clip(count)
    stream = streamed(frames)
    assert stream.value() == pytest.approx(reference(frames.numpy()), abs=1e-12)
    assert len(stream._last) <= 4


def test_cdc_of_a_single_frame_is_not_a_number():
    assert math.isnan(streamed(clip(1)).value())
    assert math.isnan(CdcStream().value())


def test_a_still_clip_does_not_change():
    assert streamed(clip(1).expand(6, -1, -1, -1)).value() == pytest.approx(0, abs=1e-15)


def test_warp_error_by_hand():
    """A ramp that moves 2 pixels to the right, once exactly and once 0.1 brighter."""
    ramp = (torch.arange(12.0) / 20).expand(2, 3, 8, 12)
    following = ramp.roll(2, -1).clone()
    following[1] += 0.1
    following[..., :2] = 77  # uncovered ground, which no mask lets count
    flow = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1).expand(2, 2, 8, 12).clone()
    mask = torch.zeros(2, 1, 8, 12)
    mask[..., :10] = 1
    flow[..., 11] = float("nan")
    assert warp_error(ramp, following, flow, mask).tolist() == pytest.approx([0, 0.01], abs=1e-6)


def test_warp_error_counts_channels_and_seen_pixels():
    frame, following = torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    following[:, 0] = 255  # one channel of three
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[0, 0, 1, :3] = True
    got = warp_error(frame, following, torch.zeros(2, 2, 4, 4), mask)
    assert got[0].item() == pytest.approx(1 / 3)
    assert torch.isnan(got[1])
