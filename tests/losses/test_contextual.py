import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from flowchroma.losses import Contextual, contextual_loss


def dense(output, reference, bandwidth):
    """Mechrez et al. 2018, equations 2 to 5, position by position, for one item."""
    x, y = output.flatten(1).T, reference.flatten(1).T
    centre = y.mean(0)
    x, y = x - centre, y - centre
    x = x / x.square().sum(1, keepdim=True).sqrt()
    y = y / y.square().sum(1, keepdim=True).sqrt()
    rows = []
    for xi in x:
        distance = torch.stack([1 - (xi * yj).sum() for yj in y]).clamp(min=0)
        w = torch.exp((1 - distance / (distance.min() + 1e-5)) / bandwidth)
        rows.append(w / w.sum())
    return -torch.log(torch.stack(rows).max(dim=0).values.mean())


@pytest.mark.parametrize("chunk", [1, 7, 512])
@pytest.mark.parametrize("bandwidth", [0.1, 0.5])
def test_equals_the_dense_form_with_gradients(chunk, bandwidth):
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64).relu().requires_grad_()
    y = torch.randn(2, 6, 3, 7, dtype=torch.float64).relu().requires_grad_()
    weight = torch.tensor([1.0, 2.0], dtype=torch.float64)
    expected = torch.stack([dense(a, b, bandwidth) for a, b in zip(x, y, strict=True)])
    expected_gradients = torch.autograd.grad((expected * weight).sum(), (x, y))
    value = contextual_loss(x, y, bandwidth, chunk)
    gradients = torch.autograd.grad((value * weight).sum(), (x, y))
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    for got, want in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-9)
    single = contextual_loss(x.float(), y.float(), bandwidth, chunk)
    torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=1e-5)


def test_no_full_matrix_is_ever_held():
    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                Largest.size = max(Largest.size, result.numel())
            return result

    x, y = torch.randn(1, 4, 16, 16, requires_grad=True), torch.randn(1, 4, 16, 16)
    with Largest():
        contextual_loss(x, y, chunk=16).sum().backward()
    assert x.grad.abs().sum() > 0
    assert Largest.size == 16 * 256


def test_order_of_likeness(smooth):
    image, other = smooth(1, 8, 12, 12), smooth(1, 8, 12, 12)
    shuffled = image.flatten(2)[..., torch.randperm(144)].view_as(image)
    same, moved, different = (contextual_loss(x, image).item() for x in (image, shuffled, other))
    assert same == pytest.approx(0, abs=1e-3)
    assert moved == pytest.approx(same, abs=1e-3)  # the place does not matter, only that the like is there
    assert different > 0.5


def test_flat_images_stay_finite():
    flat = torch.ones(1, 4, 5, 5, requires_grad=True)
    value = contextual_loss(flat, torch.ones(1, 4, 5, 5))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(flat.grad).all()


def test_prefers_the_colour_of_the_reference(frame, trunk):
    p = frame()
    mirrored = torch.cat((p.luma, p.target_ab), dim=1).flip(3)
    loss = Contextual(trunk, {"relu2_2": 1.0})
    right, gray = (
        loss(dataclasses.replace(p, ab=ab, reference=mirrored)).item() for ab in (p.target_ab, 0 * p.target_ab)
    )
    assert right < gray


def test_reference_of_another_size_and_gradient(frame, trunk, smooth):
    p = frame(reference=smooth(2, 3, 18, 44, 50))
    p = dataclasses.replace(p, ab=p.ab.requires_grad_())
    Contextual(trunk, {"relu1_2": 1.0, "relu2_2": 1.0})(p).backward()
    assert torch.isfinite(p.ab.grad).all()
    assert p.ab.grad.abs().sum() > 0


def test_float32_under_autocast():
    x, y = torch.randn(1, 8, 6, 6), torch.randn(1, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        value = contextual_loss(x, y)
    torch.testing.assert_close(value, contextual_loss(x, y), rtol=1e-6, atol=0)
    assert contextual_loss(x.bfloat16(), y.bfloat16()).dtype == torch.float32


def test_without_a_reference(frame, trunk):
    with pytest.raises(ValueError, match="reference"):
        Contextual(trunk, {"relu2_2": 1.0})(frame())


def seeking(output, reference, bandwidth):
    """The same with the sides of the last step changed: mean over i of max over j (Zhang et al. 2019)."""
    x, y = output.flatten(1).T, reference.flatten(1).T
    x, y = x - y.mean(0), y - y.mean(0)
    distance = (1 - torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y).T).clamp(min=0)
    w = torch.exp((1 - distance / (distance.min(1, keepdim=True).values + 1e-5)) / bandwidth)
    return -torch.log((w / w.sum(1, keepdim=True)).max(dim=1).values.mean())


@pytest.mark.parametrize("chunk", [3, 512])
def test_the_output_may_be_what_seeks(chunk):
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64).requires_grad_()
    y = torch.randn(2, 6, 3, 7, dtype=torch.float64)
    expected = torch.stack([seeking(a, b, 0.1) for a, b in zip(x, y, strict=True)])
    value = contextual_loss(x, y, 0.1, chunk, "output")
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    got, want = (torch.autograd.grad(v.sum(), x)[0] for v in (value, expected))
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-9)


def test_what_only_the_reference_shows_is_asked_for_by_the_reference_alone():
    half, other = torch.eye(12).view(1, 12, 3, 4).split(2, dim=3)  # twelve positions, each unlike all others
    whole = torch.cat([half, other], dim=3)
    assert contextual_loss(half, whole, seeker="output").item() == pytest.approx(0, abs=1e-3)
    assert contextual_loss(half, whole).item() > 0.3


def test_several_references_are_one(frame, trunk):
    p = frame()
    own, foreign = torch.cat((p.luma, p.target_ab), dim=1), torch.rand(2, 3, 24, 32) * 60
    loss = Contextual(trunk, {"relu1_2": 1.0}, seeker="output")

    def value(*references):
        return loss(dataclasses.replace(p, ab=p.target_ab, reference=torch.stack(references, dim=1))).item()

    assert value(own) == pytest.approx(loss(dataclasses.replace(p, ab=p.target_ab, reference=own)).item())
    assert value(foreign, own) < 0.1 * value(foreign)
