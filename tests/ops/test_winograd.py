"""Convolution in fewer multiplications against PyTorch's."""

import pytest
import torch
from torch.nn import functional as F

from flowchroma import ops
from flowchroma.ops import winograd


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 8), (23, 30), (64, 70)])
@pytest.mark.parametrize("channels", [(3, 5), (16, 150)])
def test_it_convolves(size, channels):
    """Of any size, in one strip of the image or in several, and with more outputs than are turned at a time."""
    inputs, outputs = channels
    image = torch.randn(2, inputs, size[0] + 2, size[1] + 2, dtype=torch.float64)
    weight, bias = torch.randn(outputs, inputs, 3, 3, dtype=torch.float64), torch.randn(outputs, dtype=torch.float64)
    expected = F.conv2d(image, weight, bias)
    torch.testing.assert_close(ops.winograd_conv(image, weight, bias), expected)
    torch.testing.assert_close(ops.winograd_conv(image, weight, None), expected - bias.view(-1, 1, 1))


def test_single_precision_loses_little():
    image, weight = torch.randn(1, 128, 34, 34), torch.randn(64, 128, 3, 3)
    expected = F.conv2d(image.double(), weight.double())
    error = (ops.winograd_conv(image, weight, None) - expected).abs().max()
    assert error < 2e-5 * expected.std()


@pytest.mark.parametrize(("size", "dilation"), [((24, 32), 1), ((24, 32), 2), ((25, 31), 2), ((8, 8), 1)])
def test_whichever_way_is_taken_the_numbers_are_the_same(size, dilation):
    image = torch.randn(2, 128, size[0] + 2 * dilation, size[1] + 2 * dilation, dtype=torch.float64)
    weight, bias = torch.randn(8, 128, 3, 3, dtype=torch.float64), torch.randn(8, dtype=torch.float64)
    expected = F.conv2d(image, weight, bias, dilation=dilation)
    torch.testing.assert_close(ops.conv3x3(image, weight, bias, dilation), expected)


def test_a_wanted_gradient_comes(monkeypatch):
    monkeypatch.setattr(winograd, "winograd_conv", None)  # it has none
    image = torch.randn(1, 128, 34, 34, requires_grad=True)
    weight = torch.randn(8, 128, 3, 3)
    ops.conv3x3(image, weight, None).sum().backward()
    assert image.grad is not None
