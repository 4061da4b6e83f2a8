import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flowchroma.color import scale_ab, scale_luma
from flowchroma.models.swintexco import Discriminator
from flowchroma.models.swintexco.discriminator import SelfAttention


def lab(*shape: int) -> torch.Tensor:
    return torch.rand(*shape) * torch.tensor([100.0, 120, 120]).view(3, 1, 1) - torch.tensor([0.0, 60, 60]).view(
        3, 1, 1
    )


@pytest.fixture
def small() -> Discriminator:
    made = Discriminator(width=4)
    with torch.no_grad():
        made.layers[2].gain.fill_(0.7)
    return made.eval()  # in training every look refines the norms


def plain(network: Discriminator, frames: torch.Tensor) -> torch.Tensor:
    """The published computation, written straight down from the network's own weights."""
    x = torch.cat([torch.cat([scale_luma(f[:, :1]), scale_ab(f[:, 1:])], dim=1) for f in frames.unbind(1)], dim=1)
    for place, layer in enumerate(network.layers):
        if isinstance(layer, SelfAttention):
            one = [part(x).flatten(2) for part in (layer.query, layer.key, layer.value)]
            weight = torch.softmax(one[0].transpose(1, 2) @ one[1], dim=2)
            x = x + layer.gain * (one[2] @ weight.transpose(1, 2)).view_as(x)
            continue
        x = F.conv2d(x, layer[0].weight, layer[0].bias, stride=2, padding=1)
        x = F.leaky_relu(x if place == 0 else F.instance_norm(x), 0.2)
    x = F.conv2d(x, network.last.weight, network.last.bias)
    return x.mean(dim=(1, 2, 3))


@torch.no_grad()
@pytest.mark.parametrize("size", [(192, 192), (224, 224), (260, 200)])
def test_is_the_published_computation(small: Discriminator, size: tuple[int, int]) -> None:
    frames = lab(2, 2, 3, *size)
    torch.testing.assert_close(small(frames), plain(small, frames))


def test_published_widths() -> None:
    network = Discriminator()
    widths = [layer[0].out_channels for layer in network.layers if isinstance(layer, nn.Sequential)]
    assert widths == [64, 64, 128, 256, 512, 1024]
    assert network.layers[0][0].in_channels == 6  # two frames
    kinds = [[type(part).__name__ for part in layer] for layer in network.layers if isinstance(layer, nn.Sequential)]
    assert ["InstanceNorm2d" in kind for kind in kinds] == [False, True, True, True, True, True]
    assert isinstance(network.layers[2], SelfAttention)


def test_every_convolution_has_norm_one(small: Discriminator) -> None:
    small.train()
    for _ in range(30):
        small(lab(1, 2, 3, 64, 64))
    convs = [module for module in small.eval().modules() if isinstance(module, nn.Conv2d)]
    assert len(convs) == 10
    for conv in convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("size", [(1, 1), (64, 96), (128, 128), (100, 300)])
def test_small_frames_are_judged_as_enlarged(small: Discriminator, size: tuple[int, int]) -> None:
    frames = lab(2, 2, 3, *size).requires_grad_()
    said = small(frames)
    said.sum().backward()
    assert said.shape == (2,)
    assert torch.isfinite(said).all()
    assert torch.isfinite(frames.grad).all()
    large = [max(side, 192) for side in size]  # of one pixel nothing varies but the rounding, which the norm enlarges
    enlarged = F.interpolate(frames.flatten(0, 1), large, mode="bilinear").unflatten(0, (2, 2))
    torch.testing.assert_close(said, small(enlarged), rtol=1e-3, atol=1e-4)


def test_bfloat16_is_near_and_norms_stay_float32() -> None:
    torch.manual_seed(1)
    network = Discriminator(width=8)
    frames = lab(2, 2, 3, 192, 192)
    for _ in range(10):
        network(frames)
    network.eval()
    expected = network(frames)
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        found = network(frames)
    found.float().mean().backward()
    assert (found.float() - expected).abs().max() < 0.1 * expected.abs().max() + 0.02
    assert all(p.grad.dtype == torch.float32 and torch.isfinite(p.grad).all() for p in network.parameters())
    assert all(b.dtype == torch.float32 for b in network.buffers())
