import dataclasses

import pytest
import torch

from flowchroma.losses import ChromaSmoothness


def pixel_by_pixel(ab, lab, spread):
    """The formula, written out for one item."""
    height, width = ab.shape[-2:]
    total = 0.0
    for y in range(height):
        for x in range(width):
            near = [
                (min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1))
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
            ]
            weight = torch.stack([torch.exp(-(lab[:, v, u] - lab[:, y, x]).square().sum() / spread) for v, u in near])
            mean = sum(w * ab[:, v, u] for w, (v, u) in zip(weight / weight.sum(), near, strict=True))
            total += (ab[:, y, x] - mean).square().sum()
    return total / ab.numel()


@pytest.mark.parametrize("spread", [10.0, 200.0])
def test_equals_the_formula(frame, spread):
    p = frame(batch=1, height=5, width=7)
    expected = pixel_by_pixel(p.ab[0].double(), p.target_lab[0].double(), spread)
    torch.testing.assert_close(ChromaSmoothness(spread)(p).double(), expected, rtol=1e-5, atol=1e-6)


def test_closed_form_of_a_lone_pixel_on_a_flat_frame(frame):
    flat = torch.zeros(1, 2, 7, 7)
    lone = flat.clone()
    lone[0, 0, 3, 3] = 9.0
    p = frame(batch=1, height=7, width=7, luma=torch.full((1, 1, 7, 7), 50.0), target_ab=flat, ab=lone)
    # All nine weigh the same: the pixel is off by 8, each of its eight neighbours by 1, of 98 values.
    torch.testing.assert_close(ChromaSmoothness()(p), torch.tensor((64 + 8) / 98))


def test_edges_of_the_picture_cost_nothing_and_others_do(frame):
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 40.0
    coloured = torch.cat([step, -step], dim=1)
    plain = frame(batch=1, height=8, width=8, luma=torch.full_like(step, 50), target_ab=0 * coloured, ab=coloured)
    loss = ChromaSmoothness()
    assert loss(plain).item() == pytest.approx(400 / 9)  # a third of 40, squared, in two of eight columns
    for told in ({"luma": 30 + step}, {"target_ab": coloured}):  # seen in the light, or in the true colour
        assert loss(dataclasses.replace(plain, **told)) < 1e-6


def test_no_gradient_to_the_affinities_and_float32(frame):
    p = frame()
    p = dataclasses.replace(p, ab=p.ab.bfloat16().requires_grad_(), target_ab=p.target_ab.requires_grad_())
    value = ChromaSmoothness()(p)
    value.backward()
    assert value.dtype == torch.float32
    assert p.ab.grad.abs().sum() > 0
    assert p.target_ab.grad is None
