import dataclasses

import pytest
import torch

from flowchroma.color import lab_to_rgb
from flowchroma.losses import L1, Contextual, Perceptual, Trunk

LAYERS = {"relu1_2": 1.0, "relu2_2": 3.0}


def test_equals_its_formula(frame, trunk):
    p = frame()
    output, truth = (lab_to_rgb(torch.cat((p.luma, ab), dim=1)) for ab in (p.ab, p.target_ab))
    expected = 0.0
    for b in range(2):
        for layer, weight in LAYERS.items():
            f, g = (trunk.network(rgb[b : b + 1])[layer] for rgb in (output, truth))
            expected += weight / 4 * ((f - g).abs().sum() / g.abs().sum()).item() / 2
    assert Perceptual(trunk, LAYERS)(p).item() == pytest.approx(expected, rel=1e-4)


def test_zero_only_for_the_truth(frame, trunk):
    p, loss = frame(), Perceptual(trunk, LAYERS)
    assert loss(dataclasses.replace(p, ab=p.target_ab)).item() == 0
    values = [loss(dataclasses.replace(p, ab=p.target_ab * keep)).item() for keep in (0.9, 0.5, 0.0)]
    assert 0 < values[0] < values[1] < values[2] < 2


def test_layers_see_true_rgb(frame):
    # A network that returns its input: what the loss sees must be sRGB, where gray is three equal channels.
    class Echo(torch.nn.Module):
        def forward(self, rgb):
            seen.append(rgb)
            return {"rgb": rgb}

    seen = []
    p = frame()
    Perceptual(Trunk(Echo()), {"rgb": 1.0})(dataclasses.replace(p, ab=torch.zeros_like(p.ab)))
    gray, coloured = sorted(seen, key=lambda rgb: rgb.std(dim=1).mean().item())
    assert gray.std(dim=1).max() < 2e-3
    assert coloured.std(dim=1).mean() > 0.03
    assert all(rgb.min() >= 0 and rgb.max() <= 1 for rgb in seen)


def test_descending_its_gradient_finds_the_colour(frame, trunk):
    p, loss = frame(batch=1, height=16, width=16), Perceptual(trunk, LAYERS)
    ab = torch.zeros_like(p.ab, requires_grad=True)
    optimizer = torch.optim.Adam([ab], lr=2.0)
    before = L1()(dataclasses.replace(p, ab=ab)).item()
    for _ in range(40):
        optimizer.zero_grad()
        loss(dataclasses.replace(p, ab=ab)).backward()
        optimizer.step()
    assert L1()(dataclasses.replace(p, ab=ab)).item() < 0.5 * before


def test_float32_under_autocast(frame, trunk):
    p, loss = frame(), Perceptual(trunk, LAYERS)
    expected = loss(p)
    with torch.autocast("cpu", torch.bfloat16):
        under = loss(dataclasses.replace(p))
    assert under.dtype == torch.float32
    torch.testing.assert_close(under, expected, rtol=1e-6, atol=0)


def test_features_are_computed_once_for_terms_that_share(frame, trunk, smooth):
    calls = []
    forward = trunk.network.forward
    trunk.network.forward = lambda rgb: calls.append(rgb.shape) or forward(rgb)
    reference = smooth(2, 3, 16, 16, 50)
    perceptual, contextual = Perceptual(trunk, LAYERS), Contextual(trunk, {"relu2_2": 1.0})
    first, second = frame(reference=reference), frame(reference=reference)
    for p in (first, second):
        perceptual(p)
        contextual(p)
    assert len(calls) == 5  # output and truth of two frames, and one reference
    changed = contextual(first)
    reference.mul_(0.5)
    assert contextual(first) != changed  # a reference changed in place is not the remembered one


def test_a_reference_seen_in_validation_can_be_trained_with(frame, trunk, smooth):
    reference = smooth(2, 3, 16, 16, 50)
    loss = Contextual(trunk, {"relu2_2": 1.0})
    p = frame(reference=reference)
    with torch.inference_mode():
        expected = loss(p).item()
    p = dataclasses.replace(p, ab=p.ab.requires_grad_())
    value = loss(p)
    value.backward()
    assert value.item() == pytest.approx(expected, rel=1e-5)
    assert p.ab.grad.abs().sum() > 0
