import pytest
import torch

from flowchroma.ops import window_mean


@pytest.mark.parametrize("radius", [0, 1, 5])
def test_equals_a_mean_over_the_padded_image(radius: int) -> None:
    image = torch.rand(2, 3, 9, 12, dtype=torch.float64)
    padded = torch.nn.functional.pad(image, (radius,) * 4, mode="replicate")
    expected = torch.nn.functional.avg_pool2d(padded, 2 * radius + 1, stride=1)
    torch.testing.assert_close(window_mean(image, radius), expected)
