from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from flowchroma.errors import UserError
from flowchroma.ops import dis_flow


def texture(height: int, width: int) -> torch.Tensor:
    """Smooth L in [0, 100], the same for a seed."""
    noise = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    return 100 * (smooth - smooth.min()) / (smooth.max() - smooth.min())


def shifted(height: int, width: int, x: int, y: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A frame, and the one before it, in which everything lies (x, y) further."""
    big = texture(height + 20, width + 20)
    return big[..., 10:-10, 10:-10], big[..., 10 - y : 10 - y + height, 10 - x : 10 - x + width]


@pytest.mark.parametrize("preset", ["medium", "fast", "ultrafast"])
@pytest.mark.parametrize("size", [(60, 70), (112, 130)])
def test_flow_of_a_shift(preset, size):
    flow = dis_flow(*shifted(*size, 3, -2), preset=preset)
    assert flow.shape == (1, 2, *size)
    inner = flow[0, :, 15:-15, 15:-15].flatten(1).median(dim=1).values
    assert inner.tolist() == pytest.approx([3, -2], abs=0.1 if preset == "medium" else 0.4)


def test_equals_opencv_on_8_bit_luminance():
    import cv2

    luma, previous = shifted(96, 128, 2, 1)
    planes = [np.rint(x[0, 0].numpy() * np.float32(2.55)).astype(np.uint8) for x in (luma, previous)]
    expected = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*planes, None)
    np.testing.assert_array_equal(dis_flow(luma, previous)[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (7, 8), (13, 12), (33, 5), (47, 48)])
def test_any_size(size):
    flow = dis_flow(texture(*size), texture(*size))
    assert flow.shape == (1, 2, *size)
    assert flow.abs().max() < 0.05


def test_what_was_computed_before_changes_nothing():
    pair = shifted(64, 80, 2, 1)
    first = dis_flow(*pair)
    dis_flow(*shifted(10, 9, 0, 0))
    dis_flow(*shifted(100, 50, 5, 3))
    assert torch.equal(dis_flow(*pair), first)
    with ThreadPoolExecutor(3) as pool:
        assert all(torch.equal(flow, first) for flow in pool.map(lambda _: dis_flow(*pair), range(6)))


def test_what_cannot_be():
    with pytest.raises(UserError, match="no preset 'slow'"):
        dis_flow(texture(50, 50), texture(50, 50), preset="slow")
    with pytest.raises(ValueError, match="two frames"):
        dis_flow(texture(50, 50), texture(50, 51))
    with pytest.raises(ValueError, match="two frames"):
        dis_flow(texture(50, 50).expand(2, 1, 50, 50), texture(50, 50).expand(2, 1, 50, 50))
