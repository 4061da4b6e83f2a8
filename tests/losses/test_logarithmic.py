import dataclasses
import math

import pytest
import torch

from flowchroma.losses import Logarithmic


def test_ten_decibels_are_one_in_every_frame_alike(frame):
    p = frame(batch=2)
    offsets = torch.tensor([20.0, 2.0]).view(2, 1, 1, 1)
    far, near = (dataclasses.replace(p, ab=p.target_ab + offsets * share) for share in (1, 0.1**0.5))
    loss = Logarithmic(floor=1e-3)
    assert loss(far).item() - loss(near).item() == pytest.approx(1, abs=1e-4)
    assert loss(far).item() == pytest.approx(math.log10(20**2 * 2**2) / 2, abs=1e-4)


def test_a_perfect_frame_is_worth_the_floor_and_has_a_gradient(frame):
    p = frame()
    ab = p.target_ab.clone().requires_grad_()
    loss = Logarithmic(floor=0.5)(dataclasses.replace(p, ab=ab))
    loss.backward()
    assert loss.item() == pytest.approx(math.log10(0.25))
    assert torch.isfinite(ab.grad).all()


def test_only_masked_pixels_count_and_no_frame_without_any(frame):
    p = frame(batch=2, height=4, width=4)
    ab = p.target_ab.clone()
    ab[0, :, 0, 0] += 10
    ab[1] += 50
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, 0] = 1
    loss = Logarithmic(floor=1e-3)(dataclasses.replace(p, ab=ab, mask=mask))
    assert loss.item() == pytest.approx(math.log10(10**2 / 4), abs=1e-4)
    assert Logarithmic()(dataclasses.replace(p, ab=ab, mask=0 * mask)).item() == 0
