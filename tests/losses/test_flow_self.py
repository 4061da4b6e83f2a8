"""The flow's self-supervised terms: census, photometric, smoothness."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from flowchroma.errors import UserError
from flowchroma.losses import (
    EstimatedMotion,
    ExactMotion,
    FlowCensus,
    FlowColor,
    FlowPhotometric,
    FlowSmoothness,
    Prediction,
    PreviousFrame,
)

from .conftest import changed

SHIFT = (3, -2)
APPEARANCE = [FlowCensus(), FlowPhotometric()]
TERMS = [*APPEARANCE, FlowSmoothness(), FlowSmoothness(order=2)]


def texture(height: int, width: int, batch: int = 1, seed: int = 0) -> torch.Tensor:
    """Contrast at every scale, in L."""
    noise = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 1, height // 8 + 2, width // 8 + 2, generator=noise)
    fine = torch.rand(batch, 1, height // 3 + 2, width // 3 + 2, generator=noise)
    size = {"size": (height, width), "mode": "bicubic", "align_corners": True}
    return 20 + 40 * F.interpolate(coarse, **size) + 20 * F.interpolate(fine, **size)


def shifted(shift: tuple[int, int] = SHIFT, height: int = 32, width: int = 40, batch: int = 1) -> Prediction:
    """A texture that was elsewhere in the frame before: frame_t(p) = frame_{t-1}(p + shift)."""
    (dx, dy), margin = shift, 6
    scene = texture(height + 2 * margin, width + 2 * margin, batch)
    now = scene[..., margin + dy : margin + dy + height, margin + dx : margin + dx + width]
    before = scene[..., margin : margin + height, margin : margin + width]
    flow = torch.tensor(shift, dtype=torch.float32).view(1, 2, 1, 1).expand(batch, 2, height, width).contiguous()
    ab = torch.zeros(batch, 2, height, width)
    previous, estimate = PreviousFrame(before, ab), EstimatedMotion(flow)
    return Prediction(ab=ab, luma=now, target_ab=ab, previous=previous, estimate=estimate)


def moved(p: Prediction, flow: torch.Tensor) -> Prediction:
    return replace(p, estimate=EstimatedMotion(flow))


@pytest.mark.parametrize("loss", APPEARANCE)
@settings(max_examples=20, deadline=None)
@given(dx=st.integers(-6, 6), dy=st.integers(-6, 6))
def test_zero_at_the_true_flow_up_to_the_border(loss, dx: int, dy: int) -> None:
    # All pixels whose match is within the frame are judged, those at the border with the neighbours that they have.
    assert loss(shifted((dx, dy))).item() < 1e-4


@pytest.mark.parametrize("loss", APPEARANCE)
def test_least_at_the_true_shift(loss) -> None:
    p = shifted()
    found = {
        (dx, dy): loss(moved(p, p.estimate.flow + torch.tensor([dx, dy]).view(1, 2, 1, 1))).item()
        for dx in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
        for dy in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
    }
    assert min(found, key=found.__getitem__) == (0, 0)
    assert sorted(found.values())[1] > 20 * found[0, 0] + 0.01


def reference_census(frame: torch.Tensor, warped: torch.Tensor, weight: torch.Tensor) -> float:
    """By its definition, pixel by pixel, over all 48 neighbours."""
    total = count = 0.0
    height, width = frame.shape
    for y in range(height):
        for x in range(width):
            for v in range(max(0, y - 3), min(height, y + 4)):
                for u in range(max(0, x - 3), min(width, x + 4)):
                    if (u, v) == (x, y) or not (weight[y, x] and weight[v, u]):
                        continue
                    signs = [(i[v, u] - i[y, x]) / ((0.9 / 2.55) ** 2 + (i[v, u] - i[y, x]) ** 2) ** 0.5
                             for i in (frame, warped)]  # fmt: skip
                    squared = float(signs[0] - signs[1]) ** 2
                    total, count = total + squared / (0.1 + squared), count + 1
    return total / count


def test_census_by_definition() -> None:
    frame, before = texture(9, 11)[0, 0].double(), texture(9, 11, seed=1)[0, 0].double()
    seen = torch.rand(9, 11) > 0.3
    p = Prediction(
        ab=torch.zeros(1, 2, 9, 11),
        luma=frame[None, None],
        target_ab=torch.zeros(1, 2, 9, 11),
        previous=PreviousFrame(before[None, None], torch.zeros(1, 2, 9, 11)),
        estimate=EstimatedMotion(torch.zeros(1, 2, 9, 11), visible=seen[None, None].float()),
    )
    assert FlowCensus()(p).item() == pytest.approx(reference_census(frame, before, seen), rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(0.8, 1.25), offset=st.floats(-15, 15))
def test_census_does_not_see_a_change_of_light(gain: float, offset: float) -> None:
    p = shifted()
    lit = replace(p, luma=gain * p.luma + offset)
    wrong = moved(lit, p.estimate.flow + 1)
    assert FlowCensus()(lit).item() < 0.1 * FlowCensus()(wrong).item()


def test_census_is_exactly_blind_to_an_offset_and_photometric_is_not() -> None:
    p = shifted()
    lit = replace(p, luma=p.luma + 10)
    assert FlowCensus()(lit).item() < 1e-4
    assert FlowPhotometric()(lit).item() == pytest.approx(0.11**0.4 - 0.01**0.4, rel=1e-3)


def test_photometric_by_hand() -> None:
    flat = torch.full((2, 1, 8, 8), 50.0)
    p = changed(shifted(batch=2, height=8, width=8), luma=flat + 20, previous={"luma": flat})
    far = torch.zeros(2, 2, 8, 8)
    far[1] += 100  # nothing to compare with, so not judged
    assert FlowPhotometric()(moved(p, far)).item() == pytest.approx(0.21**0.4 - 0.01**0.4, rel=1e-5)


@pytest.mark.parametrize(("loss", "rate"), [(FlowCensus(), 0.1), (FlowPhotometric(), 0.1)])
def test_a_free_flow_field_finds_the_shift(loss, rate: float) -> None:
    p = shifted((2, -1))
    free = torch.zeros(1, 2, 32, 40, requires_grad=True)
    optimizer = torch.optim.Adam([free], lr=rate)
    smooth = FlowSmoothness(edges=0)
    for _ in range(80):
        optimizer.zero_grad()
        now = moved(p, F.avg_pool2d(F.pad(free, (4,) * 4, mode="replicate"), 9, stride=1))
        (loss(now) + 0.1 * smooth(now)).backward()
        optimizer.step()
    found = now.estimate.flow.detach()[..., 4:-4, 4:-4]
    error = torch.linalg.vector_norm(found - p.estimate.flow[..., 4:-4, 4:-4], dim=1)
    assert error.mean() < 0.2


@pytest.mark.parametrize("loss", [*APPEARANCE, FlowColor()])
@pytest.mark.parametrize("exact", [True, False])
def test_what_is_masked_gives_no_gradient_and_no_loss(loss, exact: bool) -> None:
    hidden = torch.zeros(1, 1, 32, 40, dtype=torch.bool)
    hidden[..., 8:20, 10:25] = True
    p = shifted()
    torn = torch.where(hidden, torch.full_like(p.luma, 95.0), p.luma)  # something came into view
    shown = (~hidden).float()
    flow = (p.estimate.flow + 0.3).requires_grad_()
    before = {"target_ab": p.previous.luma.expand(-1, 2, -1, -1)}
    estimate = {"flow": flow, "visible": None if exact else shown}
    torn = changed(p, luma=torn, target_ab=torn.expand(-1, 2, -1, -1), previous=before, estimate=estimate)
    if exact:
        torn = replace(torn, exact=ExactMotion(p.estimate.flow, shown, torch.tensor([True])))
    gradient = torch.autograd.grad(loss(torn), flow)[0]
    assert gradient[hidden.expand_as(gradient)].abs().max() == 0
    assert gradient[~hidden.expand_as(gradient)].abs().mean() > 0
    within = changed(torn, estimate={"flow": p.estimate.flow})
    if exact:  # such items are judged outside of the frame too, where nothing fits
        keep = torch.zeros_like(shown)
        keep[..., 2:, :-3] = shown[..., 2:, :-3]
        within = changed(within, exact={"visible": keep})
    assert loss(within).item() < 1e-4


@pytest.mark.parametrize("loss", TERMS)
def test_iterations_are_discounted(loss) -> None:
    p = shifted()
    loss.gamma = 0.5
    flows = [p.estimate.flow + torch.randn_like(p.estimate.flow) for _ in range(3)]
    each = [loss(moved(p, flow)).item() for flow in flows]
    value = loss(changed(p, estimate={"iterates": flows})).item()
    loss.gamma = 0.85
    assert value == pytest.approx((0.25 * each[0] + 0.5 * each[1] + each[2]) / 1.75, rel=1e-5)


@pytest.mark.parametrize("order", [1, 2])
def test_smoothness_spares_what_its_order_says(order: int) -> None:
    p = shifted()
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    linear = torch.stack([0.1 * x + 0.05 * y, 0.2 * y - 0.1 * x])[None]
    squared = torch.stack([0.05 * x**2, 0.05 * y**2])[None]
    loss = FlowSmoothness(order=order, edges=0)
    assert loss(p).item() == pytest.approx(0, abs=1e-6)
    # Means of |d| less 0.001 over the two components and the two directions.
    by_hand = {1: (0.1 + 0.05 + 0.2 + 0.1) / 4 - 0.001, 2: 0.0}
    assert loss(moved(p, linear)).item() == pytest.approx(by_hand[order], abs=2e-5)
    assert loss(moved(p, squared)).item() > 0.02


def test_smoothness_lets_flow_tear_at_an_edge() -> None:
    luma = torch.full((1, 1, 16, 16), 30.0)
    luma[..., 8:] = 80
    torn = torch.zeros(1, 2, 16, 16)
    torn[..., 8:] = 4  # where the edge is
    aside = torn.roll(3, dims=-1)
    aside[..., :3] = 0
    p = replace(shifted(height=16, width=16), luma=luma)
    for loss in (FlowSmoothness(), FlowSmoothness(order=2)):
        assert loss(moved(p, torn)).item() < 1e-6 < 0.01 < loss(moved(p, aside)).item()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.sampled_from([(1, 1), (2, 9), (5, 3), (12, 20)]), scale=st.floats(0, 500))
def test_any_frame_and_any_flow_give_a_finite_loss_and_gradient(seed: int, size: tuple[int, int], scale: float) -> None:
    torch.manual_seed(seed)
    height, width = size
    flow = (scale * torch.randn(2, 2, height, width)).requires_grad_()
    luma, before = 100 * torch.rand(2, 2, 1, height, width)
    ab = torch.zeros(2, 2, height, width)
    p = Prediction(ab=ab, luma=luma, target_ab=ab, previous=PreviousFrame(before, ab), estimate=EstimatedMotion(flow))
    for loss in TERMS:
        value = loss(p)
        assert torch.isfinite(value)
        assert value >= 0
        assert torch.autograd.grad(value, flow)[0].isfinite().all()


@pytest.mark.parametrize("loss", TERMS)
def test_float32_under_autocast(loss) -> None:
    p = shifted()
    iterates = [(p.estimate.flow + shift).bfloat16().requires_grad_() for shift in (1.0, 0.5)]
    p = changed(p, estimate={"iterates": iterates})
    with torch.autocast("cpu", torch.bfloat16):
        under = loss(p)
    assert under.dtype == torch.float32
    torch.testing.assert_close(under, loss(p), rtol=1e-6, atol=1e-8)
    for gradient in torch.autograd.grad(under, iterates, allow_unused=True):
        assert gradient is not None
        assert gradient.isfinite().all()


def test_a_missing_frame_is_named() -> None:
    for loss in APPEARANCE:
        with pytest.raises(ValueError, match="previous frame"):
            loss(replace(shifted(), previous=None))


def test_an_order_that_does_not_exist() -> None:
    with pytest.raises(UserError, match="order 3"):
        FlowSmoothness(order=3)
